namespace Transformer.Configuration;

// C width · H heads · D head width

/// <summary>Attention in several heads, each with queries, keys and values of its own.</summary>
public abstract record HeadedAttentionConfig : AttentionConfig
{
    /// <summary>The bounds of heads, above those of any model that was ever trained.</summary>
    internal const int MostHeads = 1 << 16, WidestHead = 1 << 16;

    /// <summary>H, the number of query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>D, the width of a head; width / heads where absent.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Which of how many equal parts of a mixer's heads these are: the first of one, unless ranks have split them.</summary>
    internal (int Number, int Count) Part { get; init; } = (0, 1);

    /// <summary>D for a model of this width.</summary>
    public int HeadWidthAt(int width) => HeadWidth ?? width / Math.Max(1, Heads);

    /// <summary>The width of a query and a key in a model of this width: that of the head.</summary>
    internal virtual int KeyWidthAt(int width) => HeadWidthAt(width);

    /// <summary>How many components of a query and a key rotary positions rotate, in a model of this width: the whole head.</summary>
    public virtual int RotaryWidthAt(int width) => HeadWidthAt(width);

    /// <summary>The key that sets <see cref="RotaryWidthAt"/>.</summary>
    internal virtual string RotaryWidthKey => "head_width";

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        if (Heads is < 1 or > MostHeads)
        {
            yield return new("heads", $"found {Heads}, expected 1 to {MostHeads}");
            yield break;
        }
        if (HeadWidth is null && width > 0 && width % Heads != 0)
        {
            var divisors = Enumerable.Range(1, width).Where(n => width % n == 0).ToArray();
            var choice = $"{string.Join(", ", divisors[..^1])} or {divisors[^1]}";
            yield return new("heads", $"{Heads} heads do not divide width {width}. Take {choice}, or set head_width.");
        }
        if (HeadWidth is < 1 or > WidestHead) yield return new("head_width", $"found {HeadWidth}, expected 1 to {WidestHead}");
        if (position is not RotaryPositionConfig rope || ObstacleTo(position) is not null) yield break;
        var rotated = RotaryWidthAt(width);
        if (rotated % 2 != 0)
            yield return new(RotaryWidthKey, $"rotary positions rotate pairs, so a head needs an even width, not {rotated}");
        if (rotated == 2 && rope.Scaling is NtkScalingConfig or DynamicNtkScalingConfig)
            yield return new(RotaryWidthKey, "NTK scaling leaves the first pair of a head as it is, and a head of width 2 has no other");
    }

    /// <summary>What is wrong with dynamic_ntk where a mixer's cache holds rotated keys; nothing with other positions.</summary>
    /// <param name="position">The model's positions.</param>
    /// <param name="mixer">What the mixer is called.</param>
    private protected static IEnumerable<ConfigProblem> RotatedCacheProblems(PositionConfig position, string mixer)
    {
        if (position is not RotaryPositionConfig { Scaling: DynamicNtkScalingConfig }) yield break;
        yield return new(
            "kind", $"dynamic_ntk rotates all keys of the cache anew in each pass, and {mixer} keeps rotated ones; take another scaling");
    }

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitObstacles() => [];

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitProblems(int ranks) =>
        Heads % ranks == 0 ? [] : [new("heads", TensorParallelShare.Indivisible(Heads, "heads", ranks))];

    /// <inheritdoc/>
    internal override AttentionConfig ShareOf(int rank, int ranks, int width) =>
        this with { Heads = Heads / ranks, HeadWidth = HeadWidthAt(width), Part = (rank, ranks) };
}
