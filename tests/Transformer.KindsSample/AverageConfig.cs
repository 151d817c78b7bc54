using Transformer.Configuration;

namespace Transformer.KindsSample;

// C width · T tokens

/// <summary>Every token reads the mean of the values so far (Zhang et al. 2018): attention whose weights are all the same.</summary>
[Kind("average", typeof(AverageMixer))]
public sealed record AverageConfig : AttentionConfig
{
    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position is RotaryPositionConfig or ScoreBiasPositionConfig
        ? "these positions rotate queries and keys or change scores, and a mean has neither; take none, learned or sinusoidal"
        : null;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position) => [];

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false) =>
    [
        ParameterSpec.Matrix("v_proj.weight", width, width, MatrixRole.Value),
        ParameterSpec.Matrix("o_proj.weight", width, width, MatrixRole.ResidualProjection),
    ];

    // A sum and a division for each component, three times for training; their results are kept; the state is one sum.
    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues) => new(_ => 6.0 * width, 3 * width, 2 * width, _ => width);
}
