using Transformer.Configuration;

namespace Transformer.Comparison;

/// <summary>What an ablation is to compare, and how.</summary>
public sealed record AblationRequest
{
    /// <summary>The keys that make a model or its training larger, which scaling laws vary.</summary>
    internal static readonly string[] SizeKeys =
    [
        "model.width", "model.layers", "model.mlp.hidden", "model.preset", "training.steps", "training.batch_size",
        "training.gradient_accumulation",
    ];

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

    /// <summary>Checks what can be checked without the designs.</summary>
    /// <exception cref="InputException">Parts of the request contradict each other.</exception>
    internal void Check()
    {
        if (Variations.GroupBy(variation => variation.Key).FirstOrDefault(alike => alike.Count() > 1) is { } twice)
            throw new InputException($"--vary {twice.Key}: found twice; give all its values at once");
        if (Sweep is null && Halving) throw new InputException("--halving: found without --sweep, which it is a way of");
        if (Sweep is not null && Variations.Any(variation => variation.Key == Sweep.Key))
            throw new InputException($"--sweep {Sweep.Key}: it is varied already; leave out --vary {Sweep.Key}");
        if (Halving && Sweep!.Key.StartsWith("training.schedule.", StringComparison.Ordinal))
            throw new InputException($"--halving: short runs have a shorter {Sweep.Key}; leave it out");
        if (Mode != AblationMode.RateTransfer) return;
        if (Sweep is null || Variations.All(variation => variation.Key != "model.width"))
            throw new InputException("--rate-transfer: expected widths and rates, e.g. --vary model.width=64,128,256 " +
                "--sweep training.optimizer.learning_rate=1e-3:3.2e-2:log:6");
        if (Halving) throw new InputException("--halving: --rate-transfer trains every rate to the end; leave it out");
    }
}
