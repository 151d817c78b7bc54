namespace Transformer.Comparison;

/// <summary>A design beside the reference: what the evidence allows one to say.</summary>
/// <param name="Reference">The reference.</param>
/// <param name="Other">The design.</param>
/// <param name="Measure">What is compared.</param>
/// <param name="Test">The test over the seeds that both have; null where they share none.</param>
/// <param name="P">The p of the test, corrected for all comparisons of the table; NaN where there is none.</param>
/// <param name="Smallest">About the smallest difference that would have been found in four tables of five; NaN for one seed.</param>
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
        return [.. tests.Select((test, i) => new DesignComparison(
            designs[0], designs[i + 1], measure, test, p[i], test?.SmallestDifference(tests.Count) ?? double.NaN,
            [
                .. unfair[i + 1].Select(each => each.ToString()),
                .. Incomplete(designs[0], designs[i + 1]),
                .. choices.Where((_, design) => design == 0 || design == i + 1).Where(choice => choice.IsAtEdge).Select(choice =>
                    $"{choice.Sweep.Key}: the best value of {choice.Design.Name}, {Sweep.Text(choice.Value!.Value)}, is the last one that was " +
                        "tried; a wider sweep may find a better one"),
            ]))];
    }

    /// <summary>The comparison in a plain sentence.</summary>
    /// <param name="comparisons">How many there are in the table.</param>
    public string Sentence(int comparisons)
    {
        var (one, other) = (Reference.Design.Name, Other.Design.Name);
        if (Test is null) return $"{other} and {one} have no seed in common that ended well, so nothing can be said.";
        var corrected = comparisons > 1 ? $" after Holm's correction for {comparisons} comparisons" : "";
        if (Test.Pairs < 2)
            return $"{other} differs from {one} by {Test.Difference:+0.0000;-0.0000} {Measure.Unit()} with the only seed that both have. " +
                "One seed tells nothing about others.";
        var figures = $"{Test.Difference - Test.Margin:+0.0000;-0.0000} to {Test.Difference + Test.Margin:+0.0000;-0.0000}, " +
            $"p = {P:0.0000}{corrected}, {Test.Pairs} seeds";
        if (IsDifferent)
            return $"{other} is {(IsBetter ? "better" : "worse")} than {one} by {Math.Abs(Test.Difference):0.0000} {Measure.Unit()} " +
                $"(95 % interval of the difference {figures}).";
        return $"{other} and {one} cannot be told apart (95 % interval of the difference {figures}). So many seeds would have shown a " +
            $"difference of {Smallest:0.0000} {Measure.Unit()} or more in four tables of five.";
    }

    private static IEnumerable<string> Incomplete(DesignResult reference, DesignResult other)
    {
        foreach (var design in (DesignResult[])[reference, other])
        {
            var missing = design.Runs.Where(run => run.Result.Outcome is null).ToList();
            if (missing.Count == 0) continue;
            var word = missing.TrueForAll(run => run.Result.HasDiverged) ? "diverged" : "failed";
            yield return $"seeds: {string.Join(", ", missing.Select(run => run.Seed))} of {design.Design.Name} {word}; the test leaves " +
                "them out, which favours it";
        }
        if (other.Mean(run => run.Tokens) is { } tokens && reference.Mean(run => run.Tokens) is { } expected && tokens != expected)
            yield return $"tokens: {tokens:n0} trained on average, {expected:n0} by the reference";
    }
}
