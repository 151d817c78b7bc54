using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>What a block computes at each position by itself.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(GeluMlpConfig), "gelu")]
[JsonDerivedType(typeof(GeluTanhMlpConfig), "gelu_tanh")]
[JsonDerivedType(typeof(ReluMlpConfig), "relu")]
[JsonDerivedType(typeof(ReluSquaredMlpConfig), "relu_squared")]
[JsonDerivedType(typeof(SwiGluMlpConfig), "swiglu")]
[JsonDerivedType(typeof(NoMlpConfig), "none")]
public abstract record MlpConfig : IValidated
{
    /// <summary>F, the hidden width. Where absent, 4 x width; for swiglu two thirds of that, rounded up to a multiple of 32.</summary>
    public int? Hidden { get; init; }

    /// <summary>Whether the projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>F for a model of this width.</summary>
    public virtual int HiddenAt(int width) => Hidden ?? 4 * width;

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Hidden is < 1) yield return new("hidden", $"found {Hidden}, expected 1 or more");
    }
}

/// <summary>down(gelu(up(x))) with the exact GELU, x * Phi(x) by the error function (nanoGPT).</summary>
public sealed record GeluMlpConfig : MlpConfig;

/// <summary>down(gelu(up(x))) with the tanh approximation of GELU (GPT-2).</summary>
public sealed record GeluTanhMlpConfig : MlpConfig;

/// <summary>down(relu(up(x))) (Vaswani et al. 2017).</summary>
public sealed record ReluMlpConfig : MlpConfig;

/// <summary>down(relu(up(x))^2) (So et al. 2021).</summary>
public sealed record ReluSquaredMlpConfig : MlpConfig;

/// <summary>down(silu(gate(x)) * up(x)) (Shazeer 2020).</summary>
public sealed record SwiGluMlpConfig : MlpConfig
{
    /// <inheritdoc/>
    public override int HiddenAt(int width) => Hidden ?? (8 * width / 3 + 31) / 32 * 32;
}

/// <summary>Nothing: a block is its mixer alone, without a feed-forward layer and without the norm before it.</summary>
public sealed record NoMlpConfig : MlpConfig
{
    /// <inheritdoc/>
    public override int HiddenAt(int width) => 0;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        if (Hidden is not null) yield return new("hidden", $"found {Hidden} beside kind none, which has no hidden width; leave it out");
        if (Bias) yield return new("bias", "found true beside kind none, which has no projections; leave it out");
    }
}
