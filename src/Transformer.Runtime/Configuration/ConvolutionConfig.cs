namespace Transformer.Configuration;

// C width · W tokens seen

/// <summary>
/// A causal depthwise convolution alone: each component of a token becomes a learned weighted sum of that component in the last tokens. It
/// cannot look further, which makes it the plainest partner of a layer that can (Fu et al. 2023; Arora et al. 2023).
/// </summary>
public sealed record ConvolutionConfig : AttentionConfig
{
    private const int MostTokens = 1 << 12;

    /// <summary>W, how many tokens it sees, its own included.</summary>
    public int Tokens { get; init; } = 4;

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position is RotaryPositionConfig or ScoreBiasPositionConfig
        ? "these positions rotate queries and keys or change scores, and a convolution has neither; take none, learned or sinusoidal"
        : null;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        if (Tokens is < 2 or > MostTokens)
            yield return new("tokens", $"found {Tokens}, expected 2 to {MostTokens}; with one no token would see another");
    }

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false) =>
        [new("conv1d.weight", [width, 1, Tokens], new ConvolutionDraw())];

    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues) =>
        new(_ => 6.0 * Tokens * width, 2 * width, 2 * width, _ => (Tokens - 1L) * width);

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitObstacles() =>
        [new("kind", "a convolution alone has no heads for tensor_parallel to split; take another mixer, or another strategy")];
}
