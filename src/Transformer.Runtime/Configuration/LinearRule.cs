using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// D head width · F feature width

/// <summary>
/// How a token changes the matrix of linear attention: S = decay S + k u^T, and o = S^T q. A rule states its facts here, and every backend
/// computes by them.
/// </summary>
[JsonConverter(typeof(LinearRuleConverter))]
public abstract record LinearRule
{
    /// <summary>All rules, from the simplest to the default.</summary>
    public static IReadOnlyList<LinearRule> All { get; } =
    [
        new EluRule(), new DpfpRule(), new TaylorRule(), new RetentionRule(),
        new GlaRule(), new ScalarGlaRule(), new DeltaRule(), new GatedDeltaRule(),
    ];

    /// <summary>Its word in configurations.</summary>
    public abstract string Name { get; }

    /// <summary>What becomes of queries and keys first.</summary>
    public virtual LinearFeatures Features => LinearFeatures.Identity;

    /// <summary>How the matrix forgets.</summary>
    public virtual LinearDecay Decay => LinearDecay.None;

    /// <summary>Whether a token replaces a part, beta, of what its key held: u = beta (v - S^T k); else u = v (the delta rule).</summary>
    public virtual bool IsDelta => false;

    /// <summary>Whether keys are multiplied by the step in time, for <see cref="LinearDecay.Step"/>.</summary>
    public virtual bool ScalesKeys => false;

    /// <summary>
    /// Whether the weights of the values sum to one, their features never being negative; else q is scaled by 1 / sqrt(D) and a norm
    /// follows the matrix.
    /// </summary>
    public virtual bool IsNormalised => false;

    /// <summary>Whether a short convolution and silu follow the projections of queries, keys and values.</summary>
    public virtual bool HasConvolution => false;

    /// <summary>Whether silu of a projection gates the output unless the configuration says otherwise.</summary>
    public virtual bool GatesOutput => !IsNormalised;

    /// <summary>Whether features are vectors like those they are made of, so that rotary positions can rotate them.</summary>
    public virtual bool TakesRotation => true;

    /// <summary>F.</summary>
    /// <param name="headWidth">D.</param>
    /// <param name="shifts">nu, of DPFP.</param>
    public virtual int FeatureWidth(int headWidth, int shifts) => headWidth;

    /// <summary>The words of the rules of which something holds, as a sentence has them.</summary>
    internal static string Names(Func<LinearRule, bool> holds)
    {
        var names = All.Where(holds).Select(rule => rule.Name).ToList();
        return names.Count == 1 ? $"rule {names[0]}" : $"the rules {string.Join(", ", names[..^1])} and {names[^1]}";
    }

    /// <inheritdoc/>
    public sealed override string ToString() => Name;
}

/// <summary>Features elu(x) + 1, normalised (Katharopoulos et al. 2020).</summary>
public sealed record EluRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "elu";

    /// <inheritdoc/>
    public override LinearFeatures Features => LinearFeatures.Elu;

    /// <inheritdoc/>
    public override bool IsNormalised => true;
}

/// <summary>Sparse features of products of rectified components, normalised (Schlag et al. 2021).</summary>
public sealed record DpfpRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "dpfp";

    /// <inheritdoc/>
    public override LinearFeatures Features => LinearFeatures.Dpfp;

    /// <inheritdoc/>
    public override bool IsNormalised => true;

    /// <inheritdoc/>
    public override bool TakesRotation => false;

    /// <inheritdoc/>
    public override int FeatureWidth(int headWidth, int shifts) => 2 * shifts * headWidth;
}

/// <summary>Features whose product is the exponential's second-order Taylor series, normalised (Arora et al. 2024, Based).</summary>
public sealed record TaylorRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "taylor";

    /// <inheritdoc/>
    public override LinearFeatures Features => LinearFeatures.Taylor;

    /// <inheritdoc/>
    public override bool IsNormalised => true;

    /// <inheritdoc/>
    public override bool TakesRotation => false;

    /// <inheritdoc/>
    public override int FeatureWidth(int headWidth, int shifts) => 1 + headWidth + headWidth * headWidth;
}

/// <summary>A constant decay a head (Sun et al. 2023, RetNet).</summary>
public sealed record RetentionRule : LinearRule
{
    /// <summary>Head h keeps 1 - 2^(this - h) of its matrix from token to token.</summary>
    internal const int FirstExponent = -5;

    /// <inheritdoc/>
    public override string Name => "retention";

    /// <inheritdoc/>
    public override LinearDecay Decay => LinearDecay.Constant;
}

/// <summary>A decay a component of the key, computed from the token (Yang et al. 2023, gated linear attention).</summary>
public sealed record GlaRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "gla";

    /// <inheritdoc/>
    public override LinearDecay Decay => LinearDecay.Component;
}

/// <summary>A decay a head, computed from the token (Dao and Gu 2024, Mamba-2).</summary>
public sealed record ScalarGlaRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "scalar_gla";

    /// <inheritdoc/>
    public override LinearDecay Decay => LinearDecay.Step;

    /// <inheritdoc/>
    public override bool ScalesKeys => true;

    /// <inheritdoc/>
    public override bool HasConvolution => true;
}

/// <summary>What the key held before is replaced (Schlag et al. 2021; Yang et al. 2024, DeltaNet).</summary>
public sealed record DeltaRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "delta";

    /// <inheritdoc/>
    public override LinearFeatures Features => LinearFeatures.UnitLength;

    /// <inheritdoc/>
    public override bool IsDelta => true;

    /// <inheritdoc/>
    public override bool HasConvolution => true;

    /// <inheritdoc/>
    public override bool GatesOutput => false;
}

/// <summary>The delta rule behind a decay a head, computed from the token (Yang, Kautz and Hatamizadeh 2024, Gated DeltaNet).</summary>
public sealed record GatedDeltaRule : LinearRule
{
    /// <inheritdoc/>
    public override string Name => "gated_delta";

    /// <inheritdoc/>
    public override LinearFeatures Features => LinearFeatures.UnitLength;

    /// <inheritdoc/>
    public override LinearDecay Decay => LinearDecay.Step;

    /// <inheritdoc/>
    public override bool IsDelta => true;

    /// <inheritdoc/>
    public override bool HasConvolution => true;
}
