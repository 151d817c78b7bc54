using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// T tokens · s tokens of a group

/// <summary>The groups that an hourglass makes of one text.</summary>
/// <param name="Hourglass">The hourglass, one that reads tokens.</param>
/// <param name="Ends">For each token whether it ends a group.</param>
/// <param name="Probabilities">For each token the probability of a boundary; null where no network predicts one, or of segments.</param>
public sealed record TextGroups(HourglassSpec Hourglass, IReadOnlyList<bool> Ends, IReadOnlyList<double>? Probabilities)
{
    /// <summary>The groups of a text, for each hourglass of a model that reads tokens, in the order of the stream.</summary>
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="ids">The text's tokens, at least one and no more than the model reads.</param>
    public static IReadOnlyList<TextGroups> Of(TransformerModel model, IReadOnlyList<int> ids)
    {
        HourglassSpec[] hourglasses = [.. model.Config.Nodes().OfType<HourglassSpec>()];
        using var _ = inference_mode();
        using var scope = NewDisposeScope();
        var found = Array.Exists(hourglasses, hourglass => hourglass.Config.Boundaries is not null)
            ? ModelEvaluation.WithoutDropout(model, () => model.Boundaries(
                tensor(ids.Select(id => (long)id).ToArray(), [1, ids.Count]).to(model.Device)))
            : [];
        var next = 0;
        return [.. hourglasses.Select(hourglass => hourglass.Config.Shorten is { } shorten
            ? new(hourglass, OfEqualLength(model.Config, shorten, ids.Count), Probabilities: null)
            : Of(hourglass, found[next++]))];
    }

    private static TextGroups Of(HourglassSpec hourglass, TokenBoundaries found)
    {
        using (found)
            return new(hourglass, [.. found.Ends.ToHost().Select(end => end > 0)], found.Logits?.sigmoid().ToHost());
    }

    // The first token of a segment is a group by itself, or its first memory token is.
    private static bool[] OfEqualLength(ModelConfig model, int shorten, int tokens) =>
        [.. Enumerable.Range(0, tokens).Select(t => (model.PlacesBefore + t % model.ContextLength) % shorten == 0)];
}
