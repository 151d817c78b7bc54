using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T queries · S keys · H heads · D head width

/// <summary>
/// Positions that act through the scores: a number for each query and key that depends on how far apart they are, added to the scaled
/// scores. Computed for any queries and keys, so that blocked kernels compute it block by block.
/// </summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class ScoreBias(string name) : nn.Module<Tensor, Tensor, Tensor, Tensor>(name)
{
    /// <summary>Whether it has parameters.</summary>
    public virtual bool IsLearned => true;

    /// <param name="q">The queries: [B, H, T, D].</param>
    /// <param name="queries">Their positions: [T] or [B, T], integers.</param>
    /// <param name="keys">The keys' positions: [S] or [B, S], integers. Entries of keys after their query are ignored.</param>
    /// <returns>[B or 1, H, T, S]</returns>
    public abstract override Tensor forward(Tensor q, Tensor queries, Tensor keys);

    /// <summary>The bias that all blocks of a model share, or null for other positions.</summary>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static ScoreBias? FromConfig(ModelConfig config)
    {
        if (config.Position is not ScoreBiasPositionConfig position) return null;
        if (config.SoftmaxMixers().FirstOrDefault() is not { } attention) return null;
        return position switch
        {
            AlibiPositionConfig => new AlibiBias(attention.Heads, attention.Part.Number, attention.Part.Count),
            T5PositionConfig t5 => new T5Bias(t5, attention.Heads),
            RelativePositionConfig relative =>
                new RelativeBias(relative, attention.HeadWidthAt(config.Width), config.ScoreScale(attention)),
            _ => throw Kind.Unknown("model.position", position, "layer"),
        };
    }

    /// <summary>How far each key stands before each query: [B or 1, T, S].</summary>
    private protected static Tensor Distances(Tensor queries, Tensor keys)
    {
        var distances = queries.unsqueeze(-1) - keys.unsqueeze(-2);
        return distances.dim() == 2 ? distances.unsqueeze(0) : distances;
    }
}
