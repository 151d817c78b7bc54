using System.Text.Json.Serialization;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>The rule that turns gradients into steps.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(AdamWConfig), "adamw")]
[JsonDerivedType(typeof(MuonConfig), "muon")]
public abstract record OptimizerConfig : IValidated
{
    /// <summary>The peak learning rate, before the schedule.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Decoupled weight decay; applied to parameters of two or more dimensions, times the learning rate.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (!(LearningRate > 0)) yield return new("learning_rate", $"found {LearningRate}, expected more than 0");
        if (WeightDecay < 0) yield return new("weight_decay", $"found {WeightDecay}, expected 0 or more");
    }
}

/// <summary>The type of an optimizer's state.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<StatePrecision>))]
public enum StatePrecision
{
    /// <summary>32-bit floating point.</summary>
    [JsonStringEnumMemberName("fp32")]
    Fp32,

    /// <summary>The upper 16 bits of fp32: its range, and 8 bits of precision.</summary>
    [JsonStringEnumMemberName("bf16")]
    Bf16,
}

/// <summary>Adam with decoupled weight decay (Loshchilov and Hutter 2019).</summary>
public sealed record AdamWConfig : OptimizerConfig
{
    /// <summary>Decay of the mean of the gradient.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the mean of the squared gradient.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Added to the root of the mean squared gradient.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>
    /// The type in which the two means are stored: bf16 halves their memory. Steps are computed in fp32, and the means are rounded
    /// stochastically, so that changes too small for bf16 count on average.
    /// </summary>
    public StatePrecision StatePrecision { get; init; } = StatePrecision.Fp32;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (Beta1 is < 0 or >= 1) yield return new("beta1", $"found {Beta1}, expected 0 or more and less than 1");
        if (Beta2 is < 0 or >= 1) yield return new("beta2", $"found {Beta2}, expected 0 or more and less than 1");
        if (Epsilon <= 0) yield return new("epsilon", $"found {Epsilon}, expected more than 0");
    }
}

/// <summary>
/// Muon (Jordan et al. 2024): the momentum of each hidden matrix is orthogonalised by Newton-Schulz steps. Embeddings, the head, norms and
/// biases are trained with AdamW.
/// </summary>
public sealed record MuonConfig : OptimizerConfig
{
    /// <summary>Decay of the momentum; Nesterov's form is used.</summary>
    public double Momentum { get; init; } = 0.95;

    /// <summary>The number of Newton-Schulz steps; after five the singular values are near one.</summary>
    public int NewtonSchulzSteps { get; init; } = 5;

    /// <summary>The optimizer of everything that is not a hidden matrix. Keys that are not given have the defaults of this part.</summary>
    public AdamWConfig Adamw { get; init; } = new() { LearningRate = 3e-3, WeightDecay = 0 };

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (Momentum is < 0 or >= 1) yield return new("momentum", $"found {Momentum}, expected 0 or more and less than 1");
        if (NewtonSchulzSteps is < 1 or > 100) yield return new("newton_schulz_steps", $"found {NewtonSchulzSteps}, expected 1 to 100");
    }
}
