namespace Transformer.Configuration;

/// <summary>
/// One block of a model. <see cref="ModelConfig.Blocks"/> lists them for whoever names, counts, splits or computes blocks.
/// </summary>
/// <param name="Path">Its module, e.g. <c>model.layers.0</c>; the names of its parts follow behind a dot.</param>
/// <param name="Depth">How many blocks come before it.</param>
/// <param name="Mixer">How it moves information between positions.</param>
/// <param name="Mlp">What it computes at each position by itself; <see cref="NoMlpConfig"/> where it has no such sub-layer.</param>
/// <param name="Sublayers">The mixer's sub-layer and, unless there is none, the feed-forward layer's.</param>
public sealed record BlockSpec(string Path, int Depth, AttentionConfig Mixer, MlpConfig Mlp, IReadOnlyList<SublayerSpec> Sublayers)
    : StackNode(Path)
{
    /// <summary>The module of what the block learns for the model's memory.</summary>
    public const string Memory = "memory";

    /// <summary>How many vectors it reads a token of the text, in the mean: 1, or fewer in an hourglass.</summary>
    public double Share { get; init; } = 1;

    /// <summary>Whether its values are mixed with those of the first block that has a value residual.</summary>
    public bool MixesValues { get; init; }

    /// <summary>Whether it begins with gated cross-attention to pictures.</summary>
    public bool HasCrossAttention => Sublayers[0].IsGated;
}
