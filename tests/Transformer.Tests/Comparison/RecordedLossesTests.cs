using Transformer.Comparison;

namespace Transformer.Tests.Comparison;

/// <summary>
/// The test of designs on validation losses of one design with 80 seeds, which were measured (Goldens/ablation/README.md): groups of seeds,
/// each compared with the others as if it were another design.
/// </summary>
public sealed class RecordedLossesTests
{
    private static readonly double[] Losses = [.. File.ReadLines(Golden.PathOf("ablation/losses.txt")).Select(double.Parse)];

    [Fact]
    public void Of_forty_comparisons_of_a_design_with_itself_four_at_most_are_flagged()
    {
        var flagged = Comparisons(seeds: 8, added: 0).Take(40).Count(test => test.P <= PairedTest.Level);
        Assert.InRange(flagged, 0, 4);
    }

    // Eight seeds of this design, whose deviation is 0.011, find 18 of 20.
    [Fact]
    public void A_difference_of_0_02_nats_is_found_in_nineteen_of_twenty_with_ten_seeds()
    {
        var found = Comparisons(seeds: 10, added: 0.02).Take(20).Count(test => test is { P: <= PairedTest.Level, Difference: > 0 });
        Assert.InRange(found, 19, 20);
    }

    // Of each group with each later one.
    private static IEnumerable<PairedTest> Comparisons(int seeds, double added)
    {
        var groups = Losses.Chunk(seeds).ToList();
        return groups.SelectMany((first, i) => groups.Skip(i + 1).Select(
            second => PairedTest.Of([.. first.Zip(second, (one, other) => (one, other + added))])));
    }
}
