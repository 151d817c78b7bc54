namespace Transformer.Comparison;

/// <summary>A design beside the reference: what the evidence allows one to say.</summary>
/// <param name="Reference">The reference.</param>
/// <param name="Other">The design.</param>
/// <param name="Measure">What is compared.</param>
/// <param name="Test">The test over the seeds that both have; null where they share none.</param>
/// <param name="P">The p of the test, corrected for all comparisons of the table; NaN where there is none.</param>
/// <param name="Smallest">The smallest difference that would have been found in four tables of five; NaN for one seed.</param>
/// <param name="Caveats">What makes the comparison unfair, or incomplete.</param>
public sealed record DesignComparison(
    DesignResult Reference, DesignResult Other, Measure Measure, PairedTest? Test, double P, double Smallest, IReadOnlyList<string> Caveats)
{
    /// <summary>Whether the design and the reference differ by more than chance lets expect.</summary>
    public bool IsDifferent => P <= PairedTest.Level;

    /// <summary>Whether the design is better than the reference; only where they differ.</summary>
    public bool IsBetter => Test!.Difference < 0 != Measure.IsBetterGreater();

    /// <summary>Compares every design with the first one.</summary>
    internal static IReadOnlyList<DesignComparison> OfAll(
        IReadOnlyList<DesignResult> designs, Measure measure, IReadOnlyList<IReadOnlyList<Unfairness>> unfair,
        IReadOnlyList<SweepChoice> choices)
    {
        var reference = designs[0].Values(measure);
        var tests = designs.Skip(1).Select(design =>
        {
            var values = design.Values(measure);
            var pairs = reference.Where(seed => values.ContainsKey(seed.Key)).Select(seed => (seed.Value, values[seed.Key])).ToList();
            return pairs.Count == 0 ? null : PairedTest.Of(pairs);
        }).ToList();
        var p = PairedTest.Holm([.. tests.Select(test => test?.P ?? double.NaN)]);
        var comparisons = Math.Max(1, p.Count(each => !double.IsNaN(each)));
        return [.. tests.Select((test, i) => new DesignComparison(
            designs[0], designs[i + 1], measure, test, p[i], test?.SmallestDifference(comparisons) ?? double.NaN,
            [
                .. unfair[i + 1].Select(each => each.ToString()),
                .. Incomplete(designs[0], designs[i + 1]),
                .. choices.Where((_, design) => design == 0 || design == i + 1).Where(choice => choice.IsAtEdge).Select(choice =>
                    $"{choice.Sweep.Key}: the best value of {choice.Design.Name}, {Sweep.Text(choice.Value!.Value)}, is the last one " +
                        "that was tried; a wider sweep may find a better one"),
            ]))];
    }

    /// <summary>The comparison in a plain sentence.</summary>
    /// <param name="comparisons">How many of the table have a test.</param>
    public string Sentence(int comparisons)
    {
        var (one, other) = (Reference.Design.Name, Other.Design.Name);
        if (Test is null) return $"{other} and {one} have no seed in common that ended well, so nothing can be said.";
        if (Test.Pairs < 2)
            return $"{other} differs from {one} by {Signed(Test.Difference)} {Measure.Unit()} with the only seed that both have. One " +
                "seed tells nothing about others.";
        if (Test is { Deviation: 0, Difference: 0 }) return $"{other} and {one} have the same {Measure.Name()} with every seed.";
        var (alone, corrected) = comparisons > 1 ? (" by itself", $" after Holm's correction for {comparisons} comparisons") : ("", "");
        var figures = $"95 % interval of the difference{alone} {Signed(Test.Difference - Test.Margin)} to " +
            $"{Signed(Test.Difference + Test.Margin)}, p {ShownP}{corrected}, {Test.Pairs} seeds";
        return IsDifferent
            ? $"{other} is {(IsBetter ? "better" : "worse")} than {one} by {Math.Abs(Test.Difference):0.0000} {Measure.Unit()} ({figures})."
            : $"{other} and {one} cannot be told apart ({figures}). So many seeds would have shown a difference of {Smallest:0.0000} " +
                $"{Measure.Unit()} in four tables of five.";
    }

    /// <summary>The corrected p as it is written: = 0.0312, or &lt; 0.0001.</summary>
    internal string ShownP => P < 0.0001 ? "< 0.0001" : $"= {P:0.0000}";

    /// <summary>A difference with its sign.</summary>
    internal static string Signed(double number) => number.ToString("+0.0000;-0.0000;0.0000");

    private static IEnumerable<string> Incomplete(DesignResult reference, DesignResult other)
    {
        foreach (var design in (DesignResult[])[reference, other])
        {
            if (Seeds(run => run.HasDiverged) is { } diverged)
                yield return $"seeds: {diverged} of {design.Design.Name} diverged; the test leaves them out, which favours it";
            if (Seeds(run => run.Outcome is null && !run.HasDiverged) is { } failed)
                yield return $"seeds: {failed} of {design.Design.Name} failed and can be trained again";

            string? Seeds(Func<CellResult, bool> those) => design.Runs.Where(run => those(run.Result)).Select(run => run.Seed).ToList()
                is { Count: > 0 } seeds ? string.Join(", ", seeds) : null;
        }
        if (other.Mean(run => run.Tokens) is { } tokens && reference.Mean(run => run.Tokens) is { } expected && tokens != expected)
            yield return $"tokens: {tokens:n0} trained on average, {expected:n0} by the reference";
    }
}
