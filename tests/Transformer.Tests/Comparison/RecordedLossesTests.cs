using Transformer.Comparison;

namespace Transformer.Tests.Comparison;

/// <summary>
/// The test of designs on validation losses of one design with 80 seeds, which were measured (Goldens/ablation/README.md): ten groups of
/// eight seeds, each compared with the others as if it were another design.
/// </summary>
public sealed class RecordedLossesTests
{
    private const int Seeds = 8;

    private static readonly IReadOnlyList<double[]> Groups =
        [.. File.ReadLines(Golden.PathOf("ablation/losses.txt")).Select(double.Parse).Chunk(Seeds)];

    private static readonly IReadOnlyList<(double[] First, double[] Second)> Comparisons =
        [.. Groups.SelectMany((first, i) => Groups.Skip(i + 1).Select(second => (first, second)))];

    [Fact]
    public void Of_forty_comparisons_of_a_design_with_itself_four_at_most_are_flagged()
    {
        var flagged = Comparisons.Take(40).Count(pair => Test(pair, added: 0).P <= PairedTest.Level);
        Assert.InRange(flagged, 0, 4);
    }

    [Fact]
    public void A_difference_of_0_02_nats_is_found_in_nineteen_of_twenty()
    {
        var found = Comparisons.Take(20).Count(pair => Test(pair, added: 0.02) is { P: <= PairedTest.Level, Difference: > 0 });
        Assert.InRange(found, 19, 20);
    }

    private static PairedTest Test((double[] First, double[] Second) pair, double added) =>
        PairedTest.Of([.. pair.First.Zip(pair.Second, (first, second) => (first, second + added))]);
}
