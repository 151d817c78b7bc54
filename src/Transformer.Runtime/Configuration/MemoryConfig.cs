using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// T tokens of a segment · m memory tokens · C width · D width of a key

/// <summary>
/// What a model carries from one segment of its text to the next. A segment has context_length tokens; positions begin again in each.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(RecurrentMemoryConfig), "recurrent")]
[JsonDerivedType(typeof(AssociativeMemoryConfig), "associative")]
public abstract record MemoryConfig : IValidated
{
    /// <summary>The name of the memory tokens among the parameters.</summary>
    public const string TokensName = "model.memory.weight";

    private const int MostTokens = 1 << 10;

    /// <summary>m, the number of memory tokens, vectors that stand beside the words of a segment.</summary>
    public required int Tokens { get; init; }

    /// <summary>How many places before the words of a segment the memory takes.</summary>
    internal abstract int PlacesBefore { get; }

    /// <summary>How many places behind the words of a segment the memory takes.</summary>
    internal abstract int PlacesAfter { get; }

    /// <summary>The memory tokens with which a text begins.</summary>
    /// <param name="width">C.</param>
    internal ParameterSpec TokensAt(int width) => ParameterSpec.Matrix(TokensName, Tokens, width, MatrixRole.Embedding);

    /// <summary>What each block learns for its memory, named relative to it.</summary>
    /// <param name="width">C.</param>
    public virtual IEnumerable<ParameterSpec> BlockParameters(int width) => [];

    /// <summary>About how many numbers a place leaves in each block for the backward pass.</summary>
    /// <param name="width">C.</param>
    internal virtual long ActivationsAt(int width) => 0;

    /// <summary>How many numbers generation keeps for it, beside the caches of a segment.</summary>
    /// <param name="model">The model that it is the memory of.</param>
    internal abstract long StateNumbers(ModelConfig model);

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Tokens is < 1 or > MostTokens) yield return new("tokens", $"found {Tokens}, expected 1 to {MostTokens}");
    }
}

/// <summary>
/// The recurrent memory transformer (Bulatov et al. 2022, arXiv:2207.06881): a segment is [memory; words; memory]. The same vectors stand
/// at both ends; what the last layer makes of those behind the words, which see all of it, is the memory of the next segment.
/// </summary>
public sealed record RecurrentMemoryConfig : MemoryConfig
{
    /// <summary>
    /// Whether there are memory tokens behind the words. Without, the paper's control, the memory is what becomes of those before the
    /// words, which see none of them.
    /// </summary>
    public bool Write { get; init; } = true;

    /// <inheritdoc/>
    internal override int PlacesBefore => Tokens;

    /// <inheritdoc/>
    internal override int PlacesAfter => Write ? Tokens : 0;

    /// <inheritdoc/>
    internal override long StateNumbers(ModelConfig model) => (long)Tokens * model.Width;
}

/// <summary>
/// The associative recurrent memory transformer (Rodkin et al. 2024, arXiv:2407.04841): memory tokens behind the words of a segment write
/// keys and values into a matrix of each block by the delta rule, and every place of the segments after it reads from that matrix.
/// </summary>
public sealed record AssociativeMemoryConfig : MemoryConfig
{
    /// <summary>Added to denominators, as the authors' code does.</summary>
    internal const double Epsilon = 1e-5;

    private const int WidestKey = 1 << 12, MostShifts = 64;

    /// <summary>D, the width of keys and queries before their features.</summary>
    public int KeyWidth { get; init; } = 64;

    /// <summary>How many shifts the features have: 2 D nu numbers stand for a key (DPFP, Schlag et al. 2021).</summary>
    public int Nu { get; init; } = 3;

    /// <summary>2 D nu.</summary>
    internal int Features => 2 * KeyWidth * Nu;

    /// <inheritdoc/>
    internal override int PlacesBefore => 0;

    /// <inheritdoc/>
    internal override int PlacesAfter => Tokens;

    // Values begin at zero, so that training begins with a model without memory.
    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> BlockParameters(int width) =>
    [
        ParameterSpec.Matrix("q_proj.weight", KeyWidth, width, MatrixRole.Hidden),
        ParameterSpec.Matrix("k_proj.weight", KeyWidth, width, MatrixRole.Hidden),
        new("v_proj.weight", [width, width], new ZeroDraw(MatrixRole.Value)),
        ParameterSpec.Matrix("b_proj.weight", 1, width, MatrixRole.Hidden),
        new("b_proj.bias", [1], new ConstantDraw(0)),
    ];

    // Queries, the two halves of each product of features, and what is read.
    /// <inheritdoc/>
    internal override long ActivationsAt(int width) => 2L * KeyWidth + 3L * Features + 2L * width;

    // The matrix and the normalizer of each block, and what this segment has added to them so far.
    /// <inheritdoc/>
    internal override long StateNumbers(ModelConfig model) => model.Layers.Blocks * (2L * Features * (model.Width + 1) + 1);

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (KeyWidth is < 1 or > WidestKey) yield return new("key_width", $"found {KeyWidth}, expected 1 to {WidestKey}");
        if (Nu is < 1 or > MostShifts) yield return new("nu", $"found {Nu}, expected 1 to {MostShifts}");
    }
}
