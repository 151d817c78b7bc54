using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How a block moves information between positions.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftmaxAttentionConfig), "softmax")]
[JsonDerivedType(typeof(LinearAttentionConfig), "linear")]
[JsonDerivedType(typeof(ConvolutionConfig), "convolution")]
[JsonDerivedType(typeof(LatentAttentionConfig), "latent")]
[JsonDerivedType(typeof(ForgettingAttentionConfig), "forgetting")]
[JsonDerivedType(typeof(TransformerXlAttentionConfig), "transformer_xl")]
public abstract record AttentionConfig
{
    /// <summary>Whether the mixer carries memory from one segment of a text to the next; else it sees its own segment only.</summary>
    public virtual bool CarriesMemory => false;

    /// <summary>Why the mixer cannot use these positions; null where it can. Beside mixers that can, it goes without.</summary>
    public virtual string? ObstacleTo(PositionConfig position) => null;

    /// <summary>
    /// What is wrong with the record inside a model of this width and with these positions; paths are relative to the record.
    /// </summary>
    public abstract IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position);

    /// <summary>The parameters of the mixer, named relative to it.</summary>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="mixesValues">Whether its values are mixed with those of an earlier block.</param>
    public abstract IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false);

    /// <summary>What the mixer costs.</summary>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="mixesValues">Whether its values are mixed with those of an earlier block.</param>
    public abstract MixerCost CostAt(int width, bool mixesValues);

    /// <summary>Whether a mask can tell it which tokens a token sees, so that documents of one row see nothing of each other.</summary>
    internal virtual bool SeparatesDocuments => false;

    /// <summary>Why the mixer cannot be split between however many ranks; paths are relative to the record.</summary>
    internal virtual IEnumerable<ConfigProblem> SplitObstacles() =>
        [new("kind", "tensor_parallel cannot split this mixer; take another mixer, or another strategy")];

    /// <summary>Why so many ranks cannot split the mixer, beside its obstacles; paths are relative to the record.</summary>
    internal virtual IEnumerable<ConfigProblem> SplitProblems(int ranks) => [];

    /// <summary>What one of several ranks has of the mixer, which has no problems with so many.</summary>
    /// <param name="rank">Which, from 0.</param>
    /// <param name="ranks">N.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    internal virtual AttentionConfig ShareOf(int rank, int ranks, int width) =>
        throw new InvalidOperationException($"{GetType().Name} cannot be split");
}
