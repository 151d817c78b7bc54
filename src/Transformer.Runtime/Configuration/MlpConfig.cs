using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>What a block computes at each position by itself.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(GeluMlpConfig), "gelu")]
[JsonDerivedType(typeof(GeluTanhMlpConfig), "gelu_tanh")]
[JsonDerivedType(typeof(ReluMlpConfig), "relu")]
[JsonDerivedType(typeof(ReluSquaredMlpConfig), "relu_squared")]
[JsonDerivedType(typeof(SwiGluMlpConfig), "swiglu")]
[JsonDerivedType(typeof(MixtureMlpConfig), "mixture")]
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

/// <summary>
/// Several experts, each an MLP of its own, of which every token takes the few that a learned router gives it (Shazeer et al. 2017; Fedus et al. 2021).
/// Hidden width and biases are the expert's.
/// </summary>
public sealed record MixtureMlpConfig : MlpConfig
{
    /// <summary>E, the number of experts in a block.</summary>
    public required int Experts { get; init; }

    /// <summary>K, how many of them a token takes; the cost of a token grows with it, not with experts.</summary>
    public required int Active { get; init; }

    /// <summary>What each expert is; any other kind.</summary>
    public required MlpConfig Expert { get; init; }

    /// <summary>What the loss that keeps experts evenly used is multiplied by; 0.01 as in Switch Transformers, 0 for none.</summary>
    public double Balance { get; init; } = 0.01;

    /// <summary>
    /// In training an expert takes at most factor x tokens x active / experts of a batch; the stream passes by later ones. No limit where absent.
    /// </summary>
    public double? CapacityFactor { get; init; }

    /// <summary>F of one expert.</summary>
    public override int HiddenAt(int width) => Expert.HiddenAt(width);

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        if (Hidden is not null) yield return new("hidden", "found beside experts, whose hidden width it is; give expert.hidden");
        if (Bias) yield return new("bias", "found beside experts, whose biases they are; give expert.bias");
        if (Experts < 1) yield return new("experts", $"found {Experts}, expected 1 or more");
        if (Active < 1 || Active > Math.Max(1, Experts)) yield return new("active", $"found {Active}, expected 1 to experts, that is {Math.Max(1, Experts)}");
        if (Expert is MixtureMlpConfig) yield return new("expert.kind", "found a mixture in a mixture, expected any other kind");
        if (Expert is NoMlpConfig) yield return new("expert.kind", "found none, but an expert is a feed-forward layer; expected any other kind");
        if (Balance < 0) yield return new("balance", $"found {Balance}, expected 0 or more");
        if (CapacityFactor is <= 0) yield return new("capacity_factor", $"found {CapacityFactor}, expected more than 0");
    }
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
