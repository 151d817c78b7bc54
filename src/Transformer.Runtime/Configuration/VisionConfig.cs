using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// S side of a picture · I pictures · N vectors of a picture · C width

/// <summary>
/// How a model reads pictures: patches, layers that see all of them, vectors of the model's own width, and how these join the text.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(PrefixVisionConfig), "prefix")]
[JsonDerivedType(typeof(GatedCrossAttentionConfig), "gated_cross_attention")]
public abstract record VisionConfig : IValidated
{
    /// <summary>The module of everything that reads pictures.</summary>
    internal const string Module = "model.vision";

    /// <summary>How a picture becomes S x S numbers of each colour.</summary>
    public ImageConfig Image { get; init; } = new();

    /// <summary>
    /// Convolutions before the patches, which are then of what these give (Xiao et al. 2021); patches of pixels where absent.
    /// </summary>
    public StemConfig? Stem { get; init; }

    /// <summary>The side of a patch: in pixels or, with a stem, in places of what it gives.</summary>
    public int Patch { get; init; } = 16;

    /// <summary>How far apart patches begin; less than patch where they overlap. That of the patch where absent.</summary>
    public int? Stride { get; init; }

    /// <summary>The layers that see all patches.</summary>
    public ImageEncoderConfig Encoder { get; init; } = new();

    /// <summary>How what the encoder gives becomes vectors of the model's width.</summary>
    public ProjectorConfig Projector { get; init; } = new LinearProjectorConfig();

    /// <summary>How many patches stand beside each other, and below each other.</summary>
    internal int GridSide => (PatchedSide - Patch) / (Stride ?? Patch) + 1;

    /// <summary>The patches of a picture.</summary>
    internal int Patches => GridSide * GridSide;

    /// <summary>N, the vectors of a picture that the text reads.</summary>
    public int Vectors => Projector.VectorsOf(Patches);

    /// <summary>How many places of a text stand for a picture.</summary>
    public abstract int Placeholders { get; }

    /// <summary>The side of what is cut into patches: the picture, or what the stem gives.</summary>
    internal int PatchedSide => Stem?.SideOf(Image.Size) ?? Image.Size;

    /// <summary>The numbers of a patch.</summary>
    internal int PatchNumbers => (Stem?.Channels[^1] ?? 3) * Patch * Patch;

    /// <summary>What it learns outside of the blocks, in the order of the stream, named relative to it.</summary>
    /// <param name="model">The model that it is part of.</param>
    internal virtual IEnumerable<ParameterSpec> Parameters(ModelConfig model)
    {
        var encoder = Encoder.ModelOf(model, Patches);
        return
        [
            .. (Stem?.Parameters(model.Norm) ?? []).Select(parameter => parameter.Within("stem")),
            ParameterSpec.Matrix("patch_embedding.weight", encoder.Width, PatchNumbers, MatrixRole.Hidden),
            new("patch_embedding.bias", [encoder.Width], new ConstantDraw(0)),
            .. Encoder.PositionParameters(encoder.Width, GridSide),
            .. ModelParameters.OfNodes(encoder)
                .Select(parameter => parameter with { Name = parameter.Name[ModelConfig.Root.Length..], Block = null }),
            .. Encoder.Layers > 0 ? encoder.Norm.Parameters(encoder.Width).Select(parameter => parameter.Within("norm")) : [],
            .. Projector.Parameters(encoder, Patches, model.Width).Select(parameter => parameter.Within("projector")),
        ];
    }

    /// <summary>
    /// The operations of training on one picture: 6 a number that a weight is multiplied with, and the encoder's attention.
    /// </summary>
    /// <param name="model">The model that it is part of.</param>
    internal double FlopsPerPicture(ModelConfig model)
    {
        var encoder = Encoder.ModelOf(model, Patches);
        var blocks = encoder.Blocks().Sum(block =>
            block.Mixer.Parameters(encoder.Width).Where(parameter => parameter.Shape.Length == 2).Sum(parameter => (double)parameter.Count)
            + block.Mlp.CostAt(encoder.Width).MatrixParameters + 2.0 * Patches * encoder.Width);
        return 6 * ((Stem?.Products(Image.Size) ?? 0) + Patches * (blocks + (double)PatchNumbers * encoder.Width)
            + Projector.Products(encoder, Patches, model.Width));
    }

    /// <summary>What is wrong with it in a model; paths are relative to the record.</summary>
    /// <param name="model">The model that it is part of.</param>
    internal virtual IEnumerable<ConfigProblem> ProblemsIn(ModelConfig model)
    {
        if (Problems().Any()) yield break;
        foreach (var problem in Encoder.ProblemsIn(model)) yield return problem with { Path = $"encoder.{problem.Path}" };
        foreach (var problem in Projector.ProblemsAt(GridSide, Encoder.WidthIn(model)))
            yield return problem with { Path = $"projector.{problem.Path}" };
    }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Image.Problems().Any() || Stem?.Problems().Any() == true) yield break;
        var (side, stride) = (PatchedSide, Stride ?? Patch);
        var what = Stem is null ? $"pictures of {side} pixels" : $"what the stem gives, {side} places";
        if (Patch < 1 || Patch > side)
        {
            yield return new("patch", $"found {Patch}, expected 1 to {side}, the side of {what}");
            yield break;
        }
        if (stride < 1 || stride > Patch)
        {
            yield return new(
                "stride", $"found {stride}, expected 1 to {Patch}: between patches that are farther apart pixels are not read");
        }
        else if ((side - Patch) % stride != 0)
        {
            var fitting = Enumerable.Range(1, side).Where(patch => (side - patch) % (Stride ?? patch) == 0).ToArray();
            yield return new(
                "patch", $"patches of {Patch} that begin {stride} apart do not cover {what}; " +
                    $"take {string.Join(", ", fitting.Where(patch => patch >= stride || Stride is null).Take(8))}");
        }
    }
}

/// <summary>
/// The vectors of a picture stand in the text, in the places of its placeholders, and are read like tokens (LLaVA, Liu et al. 2023,
/// arXiv:2304.08485): N places a picture.
/// </summary>
public sealed record PrefixVisionConfig : VisionConfig
{
    /// <inheritdoc/>
    public override int Placeholders => Vectors;
}

/// <summary>
/// Before some blocks x + tanh(g) CrossAttention(norm(x), picture), then x + tanh(g') MLP(norm(x)), each gate a learned number (Flamingo,
/// Alayrac et al. 2022, arXiv:2204.14198): a place sees the last picture before it, and with gates at zero the model is that of the text.
/// </summary>
public sealed record GatedCrossAttentionConfig : VisionConfig
{
    /// <summary>The vector that stands in the text where a picture is.</summary>
    internal const string Mark = "mark";

    /// <summary>H, the heads of cross-attention.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>D, the width of a head; width / heads where absent.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Before every how many blocks it stands: 2 is before the second, the fourth and so on.</summary>
    public int Every { get; init; } = 1;

    /// <summary>
    /// g before the first step. 0 leaves a trained text model as it is, but gives no gradient to what is behind the gate; a model that
    /// learns to read text and pictures at once needs an open gate, such as 1.
    /// </summary>
    public double InitialGate { get; init; }

    /// <summary>The feed-forward layer behind it.</summary>
    public MlpConfig Mlp { get; init; } = new GeluMlpConfig();

    /// <inheritdoc/>
    public override int Placeholders => 1;

    /// <summary>D in a model of this width.</summary>
    internal int HeadWidthAt(int width) => HeadWidth ?? width / Math.Max(1, Heads);

    /// <summary>
    /// What generation keeps in each block that it stands before: keys and values of a picture, and whether there is one.
    /// </summary>
    internal long StateNumbers(int width) => 2L * Vectors * Heads * HeadWidthAt(width) + 1;

    /// <summary>Whether it stands before a block.</summary>
    /// <param name="depth">Which block, 0 being the first.</param>
    internal bool IsBefore(int depth) => (depth + 1) % Every == 0;

    /// <summary>The parameters of its attention, named relative to it.</summary>
    /// <param name="width">C.</param>
    internal IEnumerable<ParameterSpec> AttentionParameters(int width)
    {
        var inner = (long)Heads * HeadWidthAt(width);
        return
        [
            ParameterSpec.Matrix("q_proj.weight", inner, width, MatrixRole.Hidden) with { Component = ModelComponent.Attention },
            ParameterSpec.Matrix("k_proj.weight", inner, width, MatrixRole.Hidden) with { Component = ModelComponent.Vision },
            ParameterSpec.Matrix("v_proj.weight", inner, width, MatrixRole.Value) with { Component = ModelComponent.Vision },
            ParameterSpec.Matrix("o_proj.weight", width, inner, MatrixRole.ResidualProjection) with
            {
                Component = ModelComponent.Attention,
            },
        ];
    }

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model) =>
        [ParameterSpec.Matrix($"{Mark}.weight", 1, model.Width, MatrixRole.Embedding), .. base.Parameters(model)];

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> ProblemsIn(ModelConfig model)
    {
        foreach (var problem in base.ProblemsIn(model)) yield return problem;
        if (Heads is < 1 or > HeadedAttentionConfig.MostHeads)
            yield return new("heads", $"found {Heads}, expected 1 to {HeadedAttentionConfig.MostHeads}");
        else if (HeadWidth is null && model.Width % Heads != 0)
            yield return new("heads", $"{Heads} heads do not divide width {model.Width}; take a divisor, or set head_width");
        if (HeadWidth is < 1 or > HeadedAttentionConfig.WidestHead)
            yield return new("head_width", $"found {HeadWidth}, expected 1 to {HeadedAttentionConfig.WidestHead}");
        if (Every < 1 || Every > Math.Max(1, model.Layers.Blocks))
            yield return new("every", $"found {Every}, expected 1 to {Math.Max(1, model.Layers.Blocks)}, the number of blocks");
        if (Mlp is NoMlpConfig) yield return new("mlp.kind", "found none, expected any other kind");
        if (!double.IsFinite(InitialGate)) yield return new("initial_gate", $"found {InitialGate}, expected a number");
        if (InitialGate == 0 && model.Initialization is ZeroProjectionInitializationConfig)
        {
            yield return new(
                "initial_gate", "found 0 under zero_projections: both factors of what cross-attention adds would be zero, and neither " +
                    "ever learn; set it to 1, or take gpt2 or xavier as model.initialization");
        }
        if (model.Residual is HyperConnectionsResidualConfig)
            yield return new("kind", "gated_cross_attention adds to one residual stream, and hyper_connections has several; take prefix");
    }
}
