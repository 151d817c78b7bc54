namespace Transformer.Comparison;

/// <summary>What an ablation is to compare, and how.</summary>
public sealed record AblationRequest
{
    /// <summary>A recipe or a file.</summary>
    public required string Source { get; init; }

    /// <summary>What all designs share, <c>KEY=VALUE</c> each.</summary>
    public IReadOnlyList<string> Overrides { get; init; } = [];

    /// <summary>What the designs differ in; the first value of every key makes the reference.</summary>
    public IReadOnlyList<Variation> Variations { get; init; } = [];

    /// <summary>What is looked for.</summary>
    public AblationMode Mode { get; init; }

    /// <summary>How many seeds each design is trained with; the first is the configuration's own.</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>What the designs are made equal in.</summary>
    public MatchKind Match { get; init; } = MatchKind.Parameters;

    /// <summary>The key whose best value each design gets; null for none.</summary>
    public Sweep? Sweep { get; init; }

    /// <summary>
    /// Whether the sweep halves (Jamieson and Talwalkar 2016): all values are tried on short runs, the better half on runs of twice the
    /// steps, until one is left. Otherwise all values are tried on whole runs.
    /// </summary>
    public bool Halving { get; init; }

    /// <summary>What is compared; null for what suits the data.</summary>
    public Measure? Measure { get; init; }

    /// <summary>The threads of each run: other threads round otherwise.</summary>
    public required int Threads { get; init; }
}
