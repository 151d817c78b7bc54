using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// N patches · M latents · s side of a group of patches · C' width of the encoder · C width

/// <summary>How the encoder's vectors, one of each patch, become vectors of the model's width.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(LinearProjectorConfig), "linear")]
[JsonDerivedType(typeof(MlpProjectorConfig), "mlp")]
[JsonDerivedType(typeof(PixelShuffleProjectorConfig), "pixel_shuffle")]
[JsonDerivedType(typeof(PerceiverResamplerConfig), "perceiver_resampler")]
public abstract record ProjectorConfig
{
    /// <summary>How many vectors become of those of so many patches.</summary>
    internal virtual int VectorsOf(int patches) => patches;

    /// <summary>What it learns, named relative to it.</summary>
    /// <param name="encoder">The encoder as a model.</param>
    /// <param name="patches">N.</param>
    /// <param name="width">C.</param>
    internal abstract IEnumerable<ParameterSpec> Parameters(ModelConfig encoder, int patches, int width);

    /// <summary>The products of weights and numbers for one picture.</summary>
    /// <param name="encoder">The encoder as a model.</param>
    /// <param name="patches">N.</param>
    /// <param name="width">C.</param>
    internal virtual double Products(ModelConfig encoder, int patches, int width) => VectorsOf(patches)
        * Parameters(encoder, patches, width).Where(parameter => parameter.Shape.Length == 2).Sum(parameter => (double)parameter.Count);

    /// <summary>What is wrong with it; paths are relative to the record.</summary>
    /// <param name="side">The patches of a row, and of a column.</param>
    /// <param name="width">C'.</param>
    internal virtual IEnumerable<ConfigProblem> ProblemsAt(int side, int width) => [];

    private protected static IEnumerable<ParameterSpec> Map(string name, long outputs, long inputs, bool bias)
    {
        yield return ParameterSpec.Matrix($"{name}.weight", outputs, inputs, MatrixRole.Hidden);
        if (bias) yield return new($"{name}.bias", [outputs], new ConstantDraw(0));
    }
}

/// <summary>W x + b.</summary>
public sealed record LinearProjectorConfig : ProjectorConfig
{
    /// <summary>Whether b is added.</summary>
    public bool Bias { get; init; } = true;

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig encoder, int patches, int width) =>
        Map("proj", width, encoder.Width, Bias);
}

/// <summary>W2 gelu(W1 x + b1) + b2 with the exact GELU (LLaVA 1.5, Liu et al. 2023, arXiv:2310.03744); the hidden width is C.</summary>
public sealed record MlpProjectorConfig : ProjectorConfig
{
    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig encoder, int patches, int width) =>
        [.. Map("linear_1", width, encoder.Width, bias: true), .. Map("linear_2", width, width, bias: true)];
}

/// <summary>
/// The vectors of s x s neighbouring patches, one behind the other, become one by a linear map (Idefics 3, Laurencon et al. 2024,
/// arXiv:2408.12637; the shuffle is that of Shi et al. 2016 backwards): s^2 times fewer places.
/// </summary>
public sealed record PixelShuffleProjectorConfig : ProjectorConfig
{
    /// <summary>s, the side of a group.</summary>
    public int Factor { get; init; } = 2;

    /// <summary>Whether a bias is added.</summary>
    public bool Bias { get; init; }

    /// <inheritdoc/>
    internal override int VectorsOf(int patches) => patches / (Factor * Factor);

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig encoder, int patches, int width) =>
        Map("proj", width, (long)Factor * Factor * encoder.Width, Bias);

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> ProblemsAt(int side, int width)
    {
        if (Factor < 1 || side % Factor != 0)
            yield return new("factor", $"found {Factor}, expected a divisor of {side}, the patches of a row");
    }
}

/// <summary>
/// M learned vectors read all patches by cross-attention, layer by layer (Perceiver, Jaegle et al. 2021; Flamingo, Alayrac et al. 2022,
/// section 3.1): as many vectors of every picture, whatever its patches. A linear map leads to the model's width.
/// </summary>
public sealed record PerceiverResamplerConfig : ProjectorConfig
{
    private const int Most = 1 << 12;

    /// <summary>M, the learned vectors.</summary>
    public int Latents { get; init; } = 16;

    /// <summary>How many times they read the patches.</summary>
    public int Layers { get; init; } = 1;

    /// <summary>H, the heads of each reading.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>D, the width of a head; that of the encoder / heads where absent.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>The feed-forward layer behind each reading.</summary>
    public MlpConfig Mlp { get; init; } = new GeluMlpConfig();

    /// <summary>D in an encoder of this width.</summary>
    internal int HeadWidthAt(int width) => HeadWidth ?? width / Math.Max(1, Heads);

    /// <inheritdoc/>
    internal override int VectorsOf(int patches) => Latents;

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig encoder, int patches, int width)
    {
        var (own, inner) = (encoder.Width, (long)Heads * HeadWidthAt(encoder.Width));
        return
        [
            ParameterSpec.Matrix("latents.weight", Latents, own, MatrixRole.Embedding),
            .. Enumerable.Range(0, Layers).SelectMany(layer => Layer().Select(parameter => parameter.Within($"layers.{layer}"))),
            .. encoder.Norm.Parameters(own).Select(parameter => parameter.Within("norm")),
            .. Map("proj", width, own, bias: true),
        ];

        IEnumerable<ParameterSpec> Layer() =>
        [
            .. encoder.Norm.Parameters(own).Select(parameter => parameter.Within("norm_media")),
            .. encoder.Norm.Parameters(own).Select(parameter => parameter.Within("norm_latents")),
            ParameterSpec.Matrix("cross_attn.q_proj.weight", inner, own, MatrixRole.Hidden),
            ParameterSpec.Matrix("cross_attn.k_proj.weight", inner, own, MatrixRole.Hidden),
            ParameterSpec.Matrix("cross_attn.v_proj.weight", inner, own, MatrixRole.Value),
            ParameterSpec.Matrix("cross_attn.o_proj.weight", own, inner, MatrixRole.ResidualProjection),
            .. encoder.Norm.Parameters(own).Select(parameter => parameter.Within("norm_mlp")),
            .. Mlp.Parameters(own).Select(parameter => parameter.Within("mlp") with { SplitDimension = null, IsPartial = false }),
        ];
    }

    // Keys and values of patches and latents, the rest of the latents alone.
    /// <inheritdoc/>
    internal override double Products(ModelConfig encoder, int patches, int width)
    {
        var (own, inner) = ((double)encoder.Width, (double)Heads * HeadWidthAt(encoder.Width));
        var layer = 2 * (patches + Latents) * own * inner + Latents * (2 * own * inner + Mlp.CostAt(encoder.Width).MatrixParameters
            + 2 * (patches + Latents) * inner);
        return Layers * layer + Latents * own * width;
    }

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> ProblemsAt(int side, int width)
    {
        if (Latents is < 1 or > Most) yield return new("latents", $"found {Latents}, expected 1 to {Most}");
        if (Layers is < 1 or > Most) yield return new("layers", $"found {Layers}, expected 1 to {Most}");
        if (Heads is < 1 or > HeadedAttentionConfig.MostHeads)
            yield return new("heads", $"found {Heads}, expected 1 to {HeadedAttentionConfig.MostHeads}");
        else if (HeadWidth is null && width % Heads != 0)
            yield return new("heads", $"{Heads} heads do not divide the encoder's width {width}; take a divisor, or set head_width");
        if (HeadWidth is < 1 or > HeadedAttentionConfig.WidestHead)
            yield return new("head_width", $"found {HeadWidth}, expected 1 to {HeadedAttentionConfig.WidestHead}");
        if (Mlp is NoMlpConfig or MixtureMlpConfig)
            yield return new("mlp.kind", $"found {Kind.NameOf(Mlp)}, expected a plain or gated kind: every latent takes the same layer");
    }
}
