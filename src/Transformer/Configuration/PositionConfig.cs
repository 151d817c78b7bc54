using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How the model knows the order of the tokens.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(NoPositionConfig), "none")]
[JsonDerivedType(typeof(LearnedPositionConfig), "learned")]
[JsonDerivedType(typeof(SinusoidalPositionConfig), "sinusoidal")]
[JsonDerivedType(typeof(RotaryPositionConfig), "rope")]
public abstract record PositionConfig;

/// <summary>No position signal: only the causal mask tells the order (Haviv et al. 2022).</summary>
public sealed record NoPositionConfig : PositionConfig;

/// <summary>A learned vector a position, added to the token embedding (GPT-2).</summary>
public sealed record LearnedPositionConfig : PositionConfig;

/// <summary>Fixed sines and cosines added to the token embedding (Vaswani et al. 2017).</summary>
public sealed record SinusoidalPositionConfig : PositionConfig;

/// <summary>Queries and keys are turned by an angle proportional to their position (Su et al. 2021).</summary>
public sealed record RotaryPositionConfig : PositionConfig, IValidated
{
    /// <summary>The base of the geometric series of wavelengths; 10,000 as in the paper.</summary>
    public double Theta { get; init; } = 10_000;

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Theta <= 0) yield return new("theta", $"found {Theta}, expected more than 0");
    }
}
