using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// C width · F hidden width · E experts · K active experts of a token

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
    /// <summary>The bounds of a layer, above those of any model that was ever trained.</summary>
    private protected const int WidestHidden = 1 << 24, MostExperts = 1 << 16;

    /// <summary>F, the hidden width. Where absent, 4 x width; for swiglu two thirds of that, rounded up to a multiple of 32.</summary>
    public int? Hidden { get; init; }

    /// <summary>Whether the projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>F for a model of this width.</summary>
    public virtual int HiddenAt(int width) => Hidden ?? 4 * width;

    /// <summary>The same layer with another hidden width.</summary>
    internal virtual MlpConfig WithHidden(int hidden) => this with { Hidden = hidden };

    /// <summary>Whether a second projection into the hidden layer gates the first.</summary>
    internal virtual bool IsGated => false;

    /// <summary>The parameters of the layer, named relative to it.</summary>
    /// <param name="width">C, the width of the residual stream.</param>
    public virtual IEnumerable<ParameterSpec> Parameters(int width)
    {
        long hidden = HiddenAt(width);
        return
        [
            .. IsGated ? ParameterSpec.ColumnParallel("gate_proj", hidden, width, Bias, MatrixRole.Value) : [],
            .. ParameterSpec.ColumnParallel("up_proj", hidden, width, Bias, MatrixRole.Value),
            .. ParameterSpec.RowParallel("down_proj", width, hidden, Bias),
        ];
    }

    /// <summary>What the layer costs.</summary>
    /// <param name="width">C, the width of the residual stream.</param>
    public virtual MlpCost CostAt(int width)
    {
        long hidden = HiddenAt(width), into = IsGated ? 2 : 1;
        return new((into + 1) * width * hidden, (into + 1) * hidden, into * hidden);
    }

    /// <summary>Why so many ranks cannot split the hidden units; paths are relative to the record.</summary>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="ranks">N.</param>
    internal virtual IEnumerable<ConfigProblem> SplitProblems(int width, int ranks)
    {
        var hidden = HiddenAt(width);
        return hidden % ranks == 0 ? [] : [new("hidden", TensorParallelShare.Indivisible(hidden, "hidden units", ranks))];
    }

    /// <summary>What each of several ranks has of the layer.</summary>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="ranks">N.</param>
    internal virtual MlpConfig ShareOf(int width, int ranks) => this with { Hidden = HiddenAt(width) / ranks };

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Hidden is < 1 or > WidestHidden) yield return new("hidden", $"found {Hidden}, expected 1 to {WidestHidden}");
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

    /// <inheritdoc/>
    internal override bool IsGated => true;
}

/// <summary>
/// Several experts, each an MLP of its own, of which every token takes the few that a learned router gives it (Shazeer et al. 2017; Fedus
/// et al. 2021). Hidden width and biases are the expert's.
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
    /// In training an expert takes at most factor x tokens x active / experts of a batch; the stream passes by later ones. No limit where
    /// absent.
    /// </summary>
    public double? CapacityFactor { get; init; }

    /// <summary>F of one expert.</summary>
    public override int HiddenAt(int width) => Expert.HiddenAt(width);

    /// <inheritdoc/>
    internal override MlpConfig WithHidden(int hidden) => this with { Expert = Expert.WithHidden(hidden) };

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width) =>
    [
        ParameterSpec.Matrix("gate.weight", Experts, width, MatrixRole.Hidden) with { IsPartial = true },
        .. Enumerable.Range(0, Experts).SelectMany(expert =>
            Expert.Parameters(width).Select(parameter => parameter.Within($"experts.{expert}"))),
    ];

    // An active expert keeps its copy of the token and its output, which is multiplied by the router's weight.
    /// <inheritdoc/>
    public override MlpCost CostAt(int width)
    {
        var expert = Expert.CostAt(width);
        return new(
            Active * expert.MatrixParameters + (long)Experts * width,
            Active * (expert.Activations + 2 * width) + Experts,
            Active * expert.Workspace);
    }

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitProblems(int width, int ranks) =>
        Expert.SplitProblems(width, ranks).Select(problem => problem with { Path = $"expert.{problem.Path}" });

    // Every rank has the whole router and a share of each expert; it adds its share of the loss that keeps experts evenly used.
    /// <inheritdoc/>
    internal override MlpConfig ShareOf(int width, int ranks) =>
        this with { Expert = Expert.ShareOf(width, ranks), Balance = Balance / ranks };

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        if (Hidden is not null) yield return new("hidden", "found beside experts, whose hidden width it is; give expert.hidden");
        if (Bias) yield return new("bias", "found beside experts, whose biases they are; give expert.bias");
        if (Experts is < 1 or > MostExperts) yield return new("experts", $"found {Experts}, expected 1 to {MostExperts}");
        if (Active < 1 || Active > Math.Max(1, Experts))
            yield return new("active", $"found {Active}, expected 1 to experts, that is {Math.Max(1, Experts)}");
        if (Expert is MixtureMlpConfig) yield return new("expert.kind", "found a mixture in a mixture, expected any other kind");
        if (Expert is NoMlpConfig)
            yield return new("expert.kind", "found none, but an expert is a feed-forward layer; expected any other kind");
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
    public override IEnumerable<ParameterSpec> Parameters(int width) => [];

    /// <inheritdoc/>
    public override MlpCost CostAt(int width) => new(0, 0, 0);

    /// <inheritdoc/>
    internal override MlpConfig ShareOf(int width, int ranks) => this;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        if (Hidden is not null) yield return new("hidden", $"found {Hidden} beside kind none, which has no hidden width; leave it out");
        if (Bias) yield return new("bias", "found true beside kind none, which has no projections; leave it out");
    }
}
