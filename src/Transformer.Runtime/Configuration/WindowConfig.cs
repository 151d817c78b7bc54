using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>Which earlier tokens a query of softmax attention sees.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(FullWindowConfig), "full")]
[JsonDerivedType(typeof(SlidingWindowConfig), "sliding")]
[JsonDerivedType(typeof(LengthScaledWindowConfig), "length_scaled")]
[JsonDerivedType(typeof(AdaptiveWindowConfig), "adaptive")]
[JsonDerivedType(typeof(DynamicWindowConfig), "dynamic")]
public abstract record WindowConfig
{
    /// <summary>The most keys that the query at a position sees, its own included.</summary>
    /// <param name="position">How many tokens come before the query.</param>
    public abstract long KeysAt(long position);

    /// <summary>The parameters of the window, named relative to it.</summary>
    /// <param name="heads">H, the number of query heads.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    public virtual IEnumerable<ParameterSpec> Parameters(int heads, int width) => [];

    /// <summary>What each of several ranks has of the window.</summary>
    internal virtual WindowConfig ShareOf(int ranks) => this;
}

/// <summary>All of them.</summary>
public sealed record FullWindowConfig : WindowConfig
{
    /// <inheritdoc/>
    public override long KeysAt(long position) => position + 1;
}

/// <summary>The last so many tokens (Child et al. 2019; Mistral 7B, 2023).</summary>
public sealed record SlidingWindowConfig : WindowConfig, IValidated
{
    /// <summary>W, the number of keys that a query sees, its own included.</summary>
    public required int Size { get; init; }

    /// <inheritdoc/>
    public override long KeysAt(long position) => Math.Min(position + 1, Size);

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Size < 1) yield return new("size", $"found {Size}, expected 1 or more; 1 is the token itself");
    }
}

/// <summary>
/// A window that grows with the text, an extension of this project's own: the query at position t sees the last
/// W(t) = max(minimum, ceil(scale * (t + 1)^exponent)) tokens, itself included. It is defined by the tokens so far, not by the length that
/// the text will have, so that generation equals the full pass.
/// </summary>
public sealed record LengthScaledWindowConfig : WindowConfig, IValidated
{
    /// <summary>The least number of keys, as far as there are tokens; 16 reaches the last words.</summary>
    public int Minimum { get; init; } = 16;

    /// <summary>
    /// What the power of the length is multiplied by. With the default exponent, 8 sees all of 64 tokens and 256 of 1,024.
    /// </summary>
    public double Scale { get; init; } = 8;

    /// <summary>How fast the window grows: 0.5 with the root of the length, 1 with the length itself.</summary>
    public double Exponent { get; init; } = 0.5;

    /// <summary>
    /// What W(t) is before it is rounded up: a little less than the formula, so that the last digit of a power makes no key more.
    /// </summary>
    internal const double RoundingGuard = 1 - 1e-12;

    /// <inheritdoc/>
    public override long KeysAt(long position) =>
        Math.Min(position + 1, (long)Math.Max(Minimum, Math.Ceiling(Scale * Math.Pow(position + 1, Exponent) * RoundingGuard)));

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Minimum < 1) yield return new("minimum", $"found {Minimum}, expected 1 or more; 1 is the token itself");
        if (Scale <= 0) yield return new("scale", $"found {Scale}, expected more than 0");
        if (Exponent is <= 0 or > 1)
        {
            yield return new(
                "exponent", $"found {Exponent}, expected more than 0 and at most 1; for one size at every length take sliding");
        }
    }
}

/// <summary>
/// A window that the model learns (Sukhbaatar et al. 2019, arXiv:1905.07799): keys up to z tokens back are seen in full, and from there the
/// mask falls to zero over the ramp. A penalty on z makes the model pay for what it sees.
/// </summary>
public abstract record LearnedWindowConfig : WindowConfig, IValidated
{
    /// <summary>Added to the sum of softly masked weights before they are divided by it.</summary>
    public const double Epsilon = 1e-8;

    /// <summary>S_max, the greatest span z in tokens.</summary>
    public required int Maximum { get; init; }

    /// <summary>
    /// R, over how many tokens past z the mask falls from one to zero: where the span gets its gradient. 32 as in the paper.
    /// </summary>
    public int Ramp { get; init; } = 32;

    /// <summary>lambda, what a token of mean span adds to the loss, a layer. 2e-6 as in the paper.</summary>
    public double Penalty { get; init; } = 2e-6;

    /// <inheritdoc/>
    public override long KeysAt(long position) => Math.Min(position, (long)Maximum + Ramp) + 1;

    // The penalty is on the mean over the heads: N means of H/N heads.
    /// <inheritdoc/>
    internal override WindowConfig ShareOf(int ranks) => this with { Penalty = Penalty / ranks };

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Maximum < 1) yield return new("maximum", $"found {Maximum}, expected 1 or more");
        if (Ramp < 1)
            yield return new("ramp", $"found {Ramp}, expected 1 or more; without a ramp the span has no gradient, so take sliding");
        if (Penalty < 0) yield return new("penalty", $"found {Penalty}, expected 0 or more");
    }
}

/// <summary>A span of its own for each head, the same at every token; it starts at zero.</summary>
public sealed record AdaptiveWindowConfig : LearnedWindowConfig
{
    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int heads, int width) =>
        [new("span", [heads], new LayerDraw()) { SplitDimension = 0, IsBounded = true }];
}

/// <summary>A span for each head and token, computed from the token (the same paper): z_t = S_max * sigmoid(v . x_t + b).</summary>
public sealed record DynamicWindowConfig : LearnedWindowConfig
{
    /// <summary>b before the first step, v being zero: spans start at S_max * sigmoid(b). At -4 that is 1.8 % of the maximum.</summary>
    public double InitialBias { get; init; } = -4;

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int heads, int width) =>
    [
        new("weight", [heads, width], new LayerDraw()) { SplitDimension = 0 },
        new("bias", [heads], new LayerDraw()) { SplitDimension = 0 },
    ];
}
