using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>The normalisation before each sub-layer and before the head.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(LayerNormConfig), "layer")]
[JsonDerivedType(typeof(RmsNormConfig), "rms")]
public abstract record NormConfig : IValidated
{
    /// <summary>Added to the variance or mean square before the root; 1e-5 as in GPT-2 and Llama.</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Epsilon <= 0) yield return new("epsilon", $"found {Epsilon}, expected more than 0");
    }

    /// <summary>The parameters of a norm, named relative to it.</summary>
    /// <param name="width">C, what is normalised.</param>
    public virtual IEnumerable<ParameterSpec> Parameters(long width) => [ParameterSpec.Ones("weight", width)];
}

/// <summary>Layer normalisation (Ba et al. 2016).</summary>
public sealed record LayerNormConfig : NormConfig
{
    /// <summary>Whether a learned bias is added.</summary>
    public bool Bias { get; init; } = true;

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(long width) =>
        Bias ? [.. base.Parameters(width), new("bias", [width], new ConstantDraw(0))] : base.Parameters(width);
}

/// <summary>Root-mean-square normalisation (Zhang and Sennrich 2019).</summary>
public sealed record RmsNormConfig : NormConfig;
