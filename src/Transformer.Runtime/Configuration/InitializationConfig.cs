using System.Text.Json.Serialization;

namespace Transformer.Configuration;

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
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Deviation <= 0) yield return new("deviation", $"found {Deviation}, expected more than 0");
        if (this is MupInitializationConfig { BaseWidth: < 1 } mup) yield return new("base_width", $"found {mup.BaseWidth}, expected 1 or more");
    }
}

/// <summary>N(0, deviation); projections back into the residual stream N(0, deviation / sqrt(2 L)) (Radford et al. 2019).</summary>
public sealed record Gpt2InitializationConfig : InitializationConfig;

/// <summary>Matrices N(0, 1 / sqrt(fan-in)), embeddings N(0, deviation); projections back into the residual stream and an untied head start at zero.</summary>
public sealed record ZeroProjectionInitializationConfig : InitializationConfig;

/// <summary>
/// Maximal update parametrisation (Yang et al. 2022): with m = width / base_width, hidden matrices start at N(0, deviation / sqrt(m)) and
/// learn at rate / m with AdamW, logits are divided by m and attention scores by D instead of sqrt(D), so that the best rate of a small model is the
/// best rate of a large one.
/// </summary>
public sealed record MupInitializationConfig : InitializationConfig
{
    /// <summary>The width at which the learning rate was tuned.</summary>
    public required int BaseWidth { get; init; }
}

/// <summary>
/// Matrices N(0, sqrt(2 / (fan-in + fan-out))), at every depth alike (Glorot and Bengio 2010); embeddings, a tied head with them, N(0, deviation).
/// </summary>
public sealed record XavierInitializationConfig : InitializationConfig;
