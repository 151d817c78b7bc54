using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// C width · F hidden width

/// <summary>
/// Where groups of tokens end (dynamic pooling, Nawrot et al. 2023, arXiv:2211.09761). A boundary ends the group of its token, which is the
/// first to receive what becomes of it.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(LearnedBoundariesConfig), "learned")]
[JsonDerivedType(typeof(EntropyBoundariesConfig), "entropy")]
[JsonDerivedType(typeof(PieceBoundariesConfig), "pieces")]
[JsonDerivedType(typeof(WhiteSpaceBoundariesConfig), "white_space")]
public abstract record BoundaryConfig : IValidated
{
    /// <summary>
    /// The share of the tokens that are boundaries. Learned ones are drawn towards it; of others it is an estimate, which sizes and costs
    /// are counted with. 0.2 is the authors' prior.
    /// </summary>
    public double Rate { get; init; } = 0.2;

    /// <summary>Whether tokens or the next token's probabilities tell the boundaries, so that groups of groups have none.</summary>
    internal virtual bool ReadsTokens => true;

    /// <summary>What is learned to find them, named relative to it.</summary>
    /// <param name="width">C.</param>
    internal virtual IEnumerable<ParameterSpec> Parameters(int width) => [];

    /// <summary>About how many numbers a token leaves for the backward pass.</summary>
    /// <param name="width">C.</param>
    internal virtual long ActivationsAt(int width) => 0;

    /// <summary>The share of a head's products that training adds: what teaches may need logits of its own.</summary>
    internal virtual double HeadProducts => 0;

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Rate is <= 0 or >= 1) yield return new("rate", $"found {Rate}, expected more than 0 and less than 1");
    }
}

/// <summary>White space ends a word: boundaries are the tokens that contain any.</summary>
public sealed record WhiteSpaceBoundariesConfig : BoundaryConfig
{
    /// <summary>The ids of those tokens. Taken from the tokenizer where absent.</summary>
    public IReadOnlyList<int>? Tokens { get; init; }

    /// <summary>The ids, which a model of weights must know.</summary>
    /// <exception cref="InputException">They are absent.</exception>
    internal IReadOnlyList<int> KnownTokens => Tokens ?? throw new InputException(
        "model.layers: the tokens of boundaries {kind: white_space} are missing. Training takes them from its tokenizer; " +
        "without one give their ids as tokens: [...].");

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (Tokens?.Any(token => token < 0) == true) yield return new("tokens", "found an id below 0");
    }
}

/// <summary>
/// Boundaries that a small network predicts from the hidden state of the token, up to it and no further: p = sigmoid(down(gelu(up(x)))). In
/// evaluation and generation there is one where p &gt; 1/2.
/// </summary>
public abstract record PredictedBoundariesConfig : BoundaryConfig
{
    private const int WidestHidden = 1 << 24;

    /// <summary>F, the hidden width of the network; 4 x width where absent.</summary>
    public int? Hidden { get; init; }

    /// <summary>F for a model of this width.</summary>
    public int HiddenAt(int width) => Hidden ?? 4 * width;

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(int width) =>
    [
        ParameterSpec.Matrix("up_proj.weight", HiddenAt(width), width, MatrixRole.Hidden),
        new("up_proj.bias", [HiddenAt(width)], new ConstantDraw(0)),
        ParameterSpec.Matrix("down_proj.weight", 1, HiddenAt(width), MatrixRole.Hidden),
        new("down_proj.bias", [1], new ConstantDraw(0)),
    ];

    /// <inheritdoc/>
    internal override long ActivationsAt(int width) => 2L * HiddenAt(width);

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (Hidden is < 1 or > WidestHidden) yield return new("hidden", $"found {Hidden}, expected 1 to {WidestHidden}");
    }
}

/// <summary>
/// Learned end to end: in training boundaries are drawn by a Gumbel-sigmoid and rounded, the gradient passing straight through, and a
/// binomial prior keeps their rate.
/// </summary>
public sealed record LearnedBoundariesConfig : PredictedBoundariesConfig
{
    /// <summary>The temperature of the Gumbel-sigmoid; 0.5 as the authors'.</summary>
    public double Temperature { get; init; } = 0.5;

    /// <inheritdoc/>
    internal override bool ReadsTokens => false;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (Temperature <= 0) yield return new("temperature", $"found {Temperature}, expected more than 0");
    }
}

/// <summary>
/// Taught by the spikes of the model's own uncertainty: tokens after which the entropy of the next one is greater than after each of those
/// before.
/// </summary>
public sealed record EntropyBoundariesConfig : PredictedBoundariesConfig
{
    private const int MostBefore = 1 << 10;

    /// <summary>How many tokens before it a spike exceeds; 2 as the authors'.</summary>
    public int SpikesLeft { get; init; } = 2;

    // A forward pass of the head, of three that training takes.
    /// <inheritdoc/>
    internal override double HeadProducts => 1.0 / 3;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (SpikesLeft is < 1 or > MostBefore) yield return new("spikes_left", $"found {SpikesLeft}, expected 1 to {MostBefore}");
    }
}

/// <summary>
/// Taught by a tokenizer, <c>data.pieces</c>: tokens that end a piece of its. Whether a piece has ended may depend on what follows, so that
/// the network predicts it, and nothing leaks.
/// </summary>
public sealed record PieceBoundariesConfig : PredictedBoundariesConfig;
