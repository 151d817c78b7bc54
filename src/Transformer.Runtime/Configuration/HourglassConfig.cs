using System.Globalization;

namespace Transformer.Configuration;

// T tokens · s tokens of a group · S groups · C width

/// <summary>
/// Layers that read groups of tokens in place of tokens: groups of equal length (Hourglass, Nawrot et al. 2021) or groups that end where
/// the text has a boundary (dynamic pooling, Nawrot et al. 2023). A token receives what they make of the last group that is complete.
/// </summary>
public sealed record HourglassConfig : IValidated
{
    /// <summary>The bounds of a group of equal length, and of hourglasses in each other.</summary>
    private const int LongestGroup = 1 << 16, Deepest = 16;

    /// <summary>s, the number of tokens of each group; absent where boundaries end groups.</summary>
    public int? Shorten { get; init; }

    /// <summary>Where groups end; absent where all have the same length.</summary>
    public BoundaryConfig? Boundaries { get; init; }

    /// <summary>The layers that read the groups.</summary>
    public required LayersConfig Layers { get; init; }

    /// <summary>How the tokens of a group become one vector.</summary>
    public PoolingConfig Pooling { get; init; } = new AveragePoolingConfig();

    /// <summary>How the vector of a group becomes those of the tokens that receive it.</summary>
    public UpsamplingConfig Upsampling { get; init; } = new RepeatUpsamplingConfig();

    /// <summary>How many groups there are a token, in the mean.</summary>
    internal double GroupsPerToken => Boundaries?.Rate ?? 1.0 / (Shorten ?? 1);

    /// <summary>The most vectors that the layers read of so many tokens: with boundaries, one of each token and the null group.</summary>
    public int MostGroups(int tokens) => Boundaries is null ? Groups(tokens) : tokens + 1;

    /// <summary>How many groups of equal length so many tokens complete: the first is the first token alone.</summary>
    public int Groups(int tokens) => (int)(((long)tokens + Shorten!.Value - 1) / Shorten.Value);

    /// <summary>What it learns beside its layers, before those in the order of the stream, named relative to it.</summary>
    /// <param name="model">The model that it is part of.</param>
    internal IEnumerable<ParameterSpec> ParametersBefore(ModelConfig model) => Boundaries is null
        ? Pooling.Parameters(model, Shorten!.Value).Select(parameter => parameter.Within("pooling"))
        :
        [
            new("null_group", [model.Width], new LayerDraw()),
            .. Boundaries.Parameters(model.Width).Select(parameter => parameter.Within("boundaries")),
            .. model.Norm.Parameters(model.Width).Select(parameter => parameter.Within("norm")),
        ];

    /// <summary>What it learns behind its layers, named relative to it.</summary>
    /// <param name="model">The model that it is part of.</param>
    internal IEnumerable<ParameterSpec> ParametersAfter(ModelConfig model) => Boundaries is null
        ? Upsampling.Parameters(model, Shorten!.Value).Select(parameter => parameter.Within("upsampling"))
        : [];

    /// <summary>What is wrong with it in a model of this width; paths are relative to the record.</summary>
    internal IEnumerable<ConfigProblem> ProblemsAt(int width) =>
    [
        .. Pooling.ProblemsAt(width).Select(problem => problem with { Path = $"pooling.{problem.Path}" }),
        .. Upsampling.ProblemsAt(width).Select(problem => problem with { Path = $"upsampling.{problem.Path}" }),
    ];

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Shorten is null == Boundaries is null)
        {
            yield return Shorten is null
                ? new("shorten", "missing; expected shorten, or boundaries", "boundaries")
                : new("shorten", "found beside boundaries; give one of the two");
        }
        if (Shorten is < 1 or > LongestGroup) yield return new("shorten", $"found {Shorten}, expected 1 to {LongestGroup}");
        foreach (var problem in Layers.ItemProblems) yield return problem with { Path = $"layers{problem.Path}" };
        if (Layers is [] or [{ Hourglass: null, Blocks: < 1 }])
            yield return new("layers", $"found {Layers}, expected 1 or more: the layers that read the groups");
        if (Depth(Layers) >= Deepest) yield return new("layers", $"more than {Deepest} hourglasses in each other");
        foreach (var (index, item) in Layers.Index())    // hourglasses within those tell theirs
        {
            if (item.Hourglass?.Boundaries is { ReadsTokens: true } boundaries)
                yield return new($"layers[{index}].boundaries.kind", NotOfGroups(boundaries));
        }
        if (Boundaries is null) yield break;
        if (Pooling is not AveragePoolingConfig)
        {
            yield return new(
                "pooling.kind", $"groups that end at boundaries differ in length, which {Kind.NameOf(Pooling)} cannot pool; take average");
        }
        if (Upsampling is not RepeatUpsamplingConfig)
        {
            yield return new(
                "upsampling.kind",
                $"groups that end at boundaries differ in length, which {Kind.NameOf(Upsampling)} cannot make longer; take repeat");
        }
    }

    /// <summary>Why boundaries that depend on tokens cannot be those of groups.</summary>
    private static string NotOfGroups(BoundaryConfig boundaries) =>
        $"{Kind.NameOf(boundaries)} is told by tokens, and in an hourglass there are groups of them; take learned, or shorten";

    private static int Depth(LayersConfig layers) =>
        layers.Select(item => item.Hourglass is { } inner ? 1 + Depth(inner.Layers) : 0).DefaultIfEmpty().Max();

    /// <summary>As the key's value reads, in short.</summary>
    public override string ToString()
    {
        var groups = Boundaries is null
            ? string.Create(CultureInfo.InvariantCulture, $"shorten: {Shorten}")
            : $"boundaries: {Kind.NameOf(Boundaries)}";
        return $"{{{groups}, layers: {Layers}}}";
    }
}
