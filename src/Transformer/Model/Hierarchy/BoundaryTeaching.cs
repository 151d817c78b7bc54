using Transformer.Configuration;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · C width · n tokens at once · V vocabulary

/// <summary>What teaches boundaries that do not learn from the loss of the text alone.</summary>
internal static class BoundaryTeaching
{
    /// <summary>Whether a model has such boundaries.</summary>
    /// <param name="config">The model.</param>
    public static bool IsNeededBy(ModelConfig config) => config.Layers.Hourglasses
        .Any(found => found.Hourglass.Boundaries is EntropyBoundariesConfig or PieceBoundariesConfig);

    /// <summary>Adds the losses of a pass's boundaries, by what the pass itself has made of the text, or by a tokenizer's pieces.</summary>
    /// <param name="boundaries">Where the pass has ended groups; this disposes them.</param>
    /// <param name="hidden">The last layer's normalised output: [B, T, C].</param>
    /// <param name="model">The model.</param>
    /// <param name="pieceEnds">1 at a token that ends a piece: [B, T]; null where nobody knows.</param>
    /// <param name="losses">What they are added to.</param>
    public static void Teach(
        IEnumerable<TokenBoundaries> boundaries, Tensor hidden, TransformerModel model, Tensor? pieceEnds, AuxiliaryLosses losses)
    {
        using var scope = NewDisposeScope();
        foreach (var found in boundaries)
        {
            var taught = found.Config switch
            {
                EntropyBoundariesConfig entropy => Spikes(hidden, model, entropy.SpikesLeft),
                PieceBoundariesConfig => pieceEnds,
                _ => null,
            };
            if (taught is not null) losses.Add(nn.functional.binary_cross_entropy_with_logits(found.Logits!, taught));
            found.Dispose();
        }
    }

    private static Tensor Spikes(Tensor hidden, TransformerModel model, int left)
    {
        using var _ = no_grad();
        var (rows, tokens) = (hidden.shape[0], hidden.shape[1]);
        var chunks = hidden.flatten(0, 1).split(LanguageModelLoss.RowsAtOnce(rows * tokens, model.Config.VocabularySize!.Value));
        var entropy = cat([.. chunks.Select(EntropyOf)]).view(rows, tokens);
        return BoundaryPredictor.Spikes(entropy, left);

        Tensor EntropyOf(Tensor chunk)                                          // [n, C] to [n]
        {
            using var scope = NewDisposeScope();
            return BoundaryPredictor.Entropy(model.Logits(chunk)).MoveToOuterDisposeScope();
        }
    }
}
