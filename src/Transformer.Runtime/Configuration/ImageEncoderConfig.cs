namespace Transformer.Configuration;

// N patches · C' width of the encoder

/// <summary>
/// A vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929) of the same layers as the text's, without a causal mask: each patch
/// sees all patches. Pre-norm, and a norm behind the last block.
/// </summary>
public sealed record ImageEncoderConfig : IValidated
{
    private const int MostLayers = 1000;

    /// <summary>How many blocks it has; 0 gives the patches alone to the projector.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>C', its width; that of the model where absent.</summary>
    public int? Width { get; init; }

    /// <summary>H, the heads of its attention.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Whether the four projections of its attention have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Its feed-forward layers.</summary>
    public MlpConfig Mlp { get; init; } = new GeluMlpConfig();

    /// <summary>Its norms; those of the model where absent.</summary>
    public NormConfig? Norm { get; init; }

    /// <summary>How it knows where a patch is.</summary>
    public GridPositions Positions { get; init; }

    /// <summary>C' in a model.</summary>
    internal int WidthIn(ModelConfig model) => Width ?? model.Width;

    /// <summary>The encoder as a model of its own, whose tokens are patches.</summary>
    /// <param name="model">The model that it is part of.</param>
    /// <param name="patches">N.</param>
    internal ModelConfig ModelOf(ModelConfig model, int patches) => new()
    {
        Width = WidthIn(model),
        ContextLength = patches,
        Layers = Layers,
        VocabularySize = 1,
        Attention = new SoftmaxAttentionConfig { Heads = Heads, Bias = Bias },
        Position = new NoPositionConfig(),
        Mlp = Mlp,
        Norm = Norm ?? model.Norm,
        Residual = new PreNormResidualConfig(),
        Dropout = model.Dropout,
        Initialization = model.Initialization,
    };

    /// <summary>What its positions learn, named relative to the encoder.</summary>
    /// <param name="width">C'.</param>
    /// <param name="side">The patches of a row, and of a column.</param>
    internal IEnumerable<ParameterSpec> PositionParameters(int width, int side) => Positions == GridPositions.Table
        ? [ParameterSpec.Matrix("positions.table.weight", (long)side * side, width, MatrixRole.Embedding)]
        :
        [
            ParameterSpec.Matrix("positions.rows.weight", side, width, MatrixRole.Embedding),
            ParameterSpec.Matrix("positions.columns.weight", side, width, MatrixRole.Embedding),
        ];

    /// <summary>What is wrong with it in a model; paths are relative to the record.</summary>
    internal IEnumerable<ConfigProblem> ProblemsIn(ModelConfig model)
    {
        if (Heads < 1 || WidthIn(model) % Heads != 0)
            yield return new("heads", $"found {Heads}, expected a divisor of the encoder's width {WidthIn(model)}");
    }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Layers is < 0 or > MostLayers) yield return new("layers", $"found {Layers}, expected 0 to {MostLayers}");
        if (Width is < 1 or > ModelConfig.WidestStream)
            yield return new("width", $"found {Width}, expected 1 to {ModelConfig.WidestStream}");
        if (Mlp is NoMlpConfig or MixtureMlpConfig)
            yield return new("mlp.kind", $"found {Kind.NameOf(Mlp)}, expected a plain or gated kind: every patch takes the same layer");
    }
}
