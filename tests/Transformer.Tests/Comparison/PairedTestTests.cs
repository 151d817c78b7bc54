using Transformer.Comparison;

namespace Transformer.Tests.Comparison;

public sealed class PairedTestTests
{
    // Student's own data (1908), extra hours of sleep under two drugs: t = 4.0621 with 9 degrees of freedom, p = 0.002833.
    private static readonly (double, double)[] Sleep =
    [
        (0.7, 1.9), (-1.6, 0.8), (-0.2, 1.1), (-1.2, 0.1), (-0.1, -0.1), (3.4, 4.4), (3.7, 5.5), (0.8, 1.6), (0.0, 4.6), (2.0, 3.4),
    ];

    [Fact]
    public void Students_own_example_gives_the_published_figures()
    {
        var test = PairedTest.Of(Sleep);
        Assert.Equal(1.58, test.Difference, 1e-12);
        Assert.Equal(0.002833, test.P, 1e-6);
        Assert.Equal((0.7001142, 2.4598858), (test.Difference - test.Margin, test.Difference + test.Margin), new Within(1e-6));
    }

    [Fact]
    public void Holms_correction_multiplies_the_smallest_by_the_number_of_comparisons()
    {
        var adjusted = PairedTest.Holm([0.04, 0.01, double.NaN, 0.03]);
        Assert.Equal([0.06, 0.03, double.NaN, 0.06], adjusted, (a, b) => a.Equals(b) || Math.Abs(a - b) < 1e-12);
        Assert.Equal([1.0, 1.0], PairedTest.Holm([0.9, 0.7]));
    }

    [Fact]
    public void One_pair_and_equal_pairs_tell_no_difference()
    {
        Assert.True(double.IsNaN(PairedTest.Of([(1, 2)]).P));
        Assert.Equal(1, PairedTest.Of([(1, 1), (2, 2), (3, 3)]).P);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void Equal_designs_are_called_different_in_five_of_a_hundred_tables(int seeds)
    {
        const int Tables = 4000;
        var random = new Random(seeds);
        var flagged = Enumerable.Range(0, Tables).Count(_ => PairedTest.Of([
            .. Enumerable.Range(0, seeds).Select(_ => (Normal(random), Normal(random)))]).P <= PairedTest.Level);
        Assert.InRange((double)flagged / Tables, 0.04, 0.06);
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(3, 6)]
    [InlineData(8, 1)]
    [InlineData(8, 3)]
    public void The_smallest_difference_is_found_in_four_tables_of_five(int seeds, int comparisons)
    {
        const int Tables = 20_000;
        var random = new Random(seeds);
        var spread = Math.Sqrt(2);    // of a difference of two numbers of deviation 1
        var known = new PairedTest(seeds, 0, spread, 0, 0).SmallestDifference(comparisons);
        var found = Enumerable.Range(0, Tables).Count(_ => comparisons * PairedTest.Of([
            .. Enumerable.Range(0, seeds).Select(_ => (Normal(random), Normal(random) + known))]).P <= PairedTest.Level);
        Assert.InRange((double)found / Tables, 0.785, 0.815);
    }

    // Box and Muller
    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private sealed class Within(double tolerance) : IEqualityComparer<(double, double)>
    {
        public bool Equals((double, double) x, (double, double) y) =>
            Math.Abs(x.Item1 - y.Item1) < tolerance && Math.Abs(x.Item2 - y.Item2) < tolerance;

        public int GetHashCode((double, double) obj) => 0;
    }
}
