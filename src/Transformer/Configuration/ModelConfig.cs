namespace Transformer.Configuration;

/// <summary>A decoder-only transformer: width, depth, context and the kind of each component.</summary>
public sealed record ModelConfig : IValidated
{
    /// <summary>C, the width of the residual stream.</summary>
    public required int Width { get; init; }

    /// <summary>The greatest number of tokens that a training sequence or a prompt with its continuation may have.</summary>
    public required int ContextLength { get; init; }

    /// <summary>L, the number of blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>V, the number of tokens. Taken from the tokenizer where absent.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>How a block moves information between positions.</summary>
    public AttentionConfig Attention { get; init; } = new SoftmaxAttentionConfig { Heads = 4 };

    /// <summary>How the model knows the order of the tokens.</summary>
    public PositionConfig Position { get; init; } = new RotaryPositionConfig();

    /// <summary>What a block computes at each position by itself.</summary>
    public MlpConfig Mlp { get; init; } = new SwiGluMlpConfig();

    /// <summary>The normalisation before each sub-layer and before the head.</summary>
    public NormConfig Norm { get; init; } = new RmsNormConfig();

    /// <summary>How sub-layers meet the residual stream.</summary>
    public ResidualConfig Residual { get; init; } = new PreNormResidualConfig();

    /// <summary>The probability with which embeddings and sub-layer outputs are dropped in training; 0 suits data that is seen few times.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether the output head is the token embedding itself (Press and Wolf 2017), which saves V x C parameters.</summary>
    public bool TiedHead { get; init; } = true;

    /// <summary>How parameters are drawn before the first step.</summary>
    public InitializationConfig Initialization { get; init; } = new Gpt2InitializationConfig();

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Width < 1) yield return new("width", $"found {Width}, expected 1 or more");
        if (ContextLength < 1) yield return new("context_length", $"found {ContextLength}, expected 1 or more");
        if (Layers < 0) yield return new("layers", $"found {Layers}, expected 0 or more");
        if (VocabularySize is < 1) yield return new("vocabulary_size", $"found {VocabularySize}, expected 1 or more");
        if (Dropout is < 0 or >= 1) yield return new("dropout", $"found {Dropout}, expected 0 or more and less than 1");
        foreach (var problem in Attention.ProblemsAt(Width, Position)) yield return problem with { Path = $"attention.{problem.Path}" };
    }
}
