using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// C width · L blocks

/// <summary>How parameters are drawn before the first step.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Gpt2InitializationConfig), "gpt2")]
[JsonDerivedType(typeof(ZeroProjectionInitializationConfig), "zero_projections")]
[JsonDerivedType(typeof(MupInitializationConfig), "mup")]
[JsonDerivedType(typeof(XavierInitializationConfig), "xavier")]
public abstract record InitializationConfig : IValidated
{
    /// <summary>The standard deviation of matrices and embeddings.</summary>
    public double Deviation { get; init; } = 0.02;

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Deviation <= 0) yield return new("deviation", $"found {Deviation}, expected more than 0");
    }

    /// <summary>The standard deviation of a matrix.</summary>
    /// <param name="role">What it does in the model.</param>
    /// <param name="outputs">Its rows.</param>
    /// <param name="inputs">Its columns.</param>
    /// <param name="model">The model that it is part of.</param>
    public abstract double DeviationOf(MatrixRole role, long outputs, long inputs, ModelConfig model);

    /// <summary>1 / m under muP, m being how many times wider the model is than the one that was tuned; else 1.</summary>
    /// <param name="width">C.</param>
    internal virtual double WidthScale(int width) => 1;

    /// <summary>What q k^T is multiplied by.</summary>
    /// <param name="headWidth">D.</param>
    internal virtual double ScoreScale(double headWidth) => 1 / Math.Sqrt(headWidth);

    // Projections back into the residual stream: 2 L of them add up there, or L where blocks have no MLP.
    private protected static double DepthScale(MatrixRole role, ModelConfig model) =>
        role == MatrixRole.ResidualProjection ? 1 / Math.Sqrt(model.SubLayers * model.Layers.Blocks) : 1;
}

/// <summary>N(0, deviation); projections back into the residual stream N(0, deviation / sqrt(2 L)) (Radford et al. 2019).</summary>
public sealed record Gpt2InitializationConfig : InitializationConfig
{
    /// <inheritdoc/>
    public override double DeviationOf(MatrixRole role, long outputs, long inputs, ModelConfig model) =>
        Deviation * DepthScale(role, model);
}

/// <summary>
/// Matrices N(0, 1 / sqrt(fan-in)), embeddings N(0, deviation); projections back into the residual stream and an untied head start at zero.
/// </summary>
public sealed record ZeroProjectionInitializationConfig : InitializationConfig
{
    /// <inheritdoc/>
    public override double DeviationOf(MatrixRole role, long outputs, long inputs, ModelConfig model) => role switch
    {
        MatrixRole.ResidualProjection or MatrixRole.Head => 0,
        MatrixRole.Embedding => Deviation,
        _ => 1 / Math.Sqrt(inputs),
    };
}

/// <summary>
/// Maximal update parametrisation (Yang et al. 2022): with m = width / base_width, hidden matrices start at N(0, deviation / sqrt(m)) and
/// learn at rate / m with AdamW, whose decay of them is multiplied by m; logits are divided by m and attention scores by D instead of
/// sqrt(D), so that the best rate of a small model is the best rate of a large one.
/// </summary>
public sealed record MupInitializationConfig : InitializationConfig
{
    /// <summary>The width at which the learning rate was tuned.</summary>
    public required int BaseWidth { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (BaseWidth is < 1 or > ModelConfig.WidestStream)
            yield return new("base_width", $"found {BaseWidth}, expected 1 to {ModelConfig.WidestStream}");
    }

    /// <inheritdoc/>
    public override double DeviationOf(MatrixRole role, long outputs, long inputs, ModelConfig model) =>
        role is MatrixRole.Embedding or MatrixRole.Head
            ? Deviation
            : Deviation * DepthScale(role, model) * Math.Sqrt(WidthScale(model.Width));

    /// <inheritdoc/>
    internal override double WidthScale(int width) => (double)BaseWidth / width;

    // The keys learn to align with the queries, so that q k^T grows like D.
    /// <inheritdoc/>
    internal override double ScoreScale(double headWidth) => 1 / headWidth;
}

/// <summary>
/// Matrices N(0, sqrt(2 / (fan-in + fan-out))), at every depth alike (Glorot and Bengio 2010); embeddings, a tied head with them, N(0,
/// deviation).
/// </summary>
public sealed record XavierInitializationConfig : InitializationConfig
{
    /// <inheritdoc/>
    public override double DeviationOf(MatrixRole role, long outputs, long inputs, ModelConfig model) =>
        role == MatrixRole.Embedding ? Deviation : Math.Sqrt(2.0 / (outputs + inputs));
}
