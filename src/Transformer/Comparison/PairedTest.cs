using MathNet.Numerics.Distributions;

namespace Transformer.Comparison;

/// <summary>
/// Student's paired t-test: whether two designs differ by more than their seeds let expect. Within a pair the seed is the same, and so
/// are the data and their order.
/// </summary>
/// <param name="Pairs">n.</param>
/// <param name="Difference">The mean of second less first.</param>
/// <param name="Deviation">The sample standard deviation of the differences; NaN for one pair.</param>
/// <param name="Margin">Half the width of the 95 % interval of the mean difference; NaN for one pair.</param>
/// <param name="P">How often chance alone gives a mean as far from zero; NaN for one pair.</param>
public sealed record PairedTest(int Pairs, double Difference, double Deviation, double Margin, double P)
{
    /// <summary>The share of comparisons of equal designs that are called different.</summary>
    public const double Level = 0.05;

    /// <summary>How often <see cref="SmallestDifference"/> is found.</summary>
    public const double Power = 0.8;

    private const int Bisections = 40, Shares = 200;

    /// <summary>Compares the values of one or more pairs.</summary>
    public static PairedTest Of(IReadOnlyList<(double First, double Second)> pairs)
    {
        var differences = pairs.Select(pair => pair.Second - pair.First).ToList();
        var (n, mean) = (differences.Count, differences.Average());
        if (n < 2) return new(n, mean, double.NaN, double.NaN, double.NaN);
        var deviation = DeviationOf(differences);
        var error = deviation / Math.Sqrt(n);
        var p = error > 0 ? 2 * StudentT.CDF(0, 1, n - 1, -Math.Abs(mean) / error) : mean == 0 ? 1 : 0;
        return new(n, mean, deviation, Quantile(1 - Level / 2, n) * error, p);
    }

    /// <summary>The smallest difference that so many pairs find in four tables of five; NaN for one pair.</summary>
    /// <param name="comparisons">How many comparisons share the level.</param>
    public double SmallestDifference(int comparisons = 1)
    {
        if (Pairs < 2) return double.NaN;
        var critical = Quantile(1 - Level / comparisons / 2, Pairs);
        var (low, high) = (0.0, 100 * critical);
        for (var i = 0; i < Bisections; i++)
        {
            var middle = (low + high) / 2;
            (low, high) = PowerOf(middle, critical) < Power ? (middle, high) : (low, middle);
        }
        return high * Deviation / Math.Sqrt(Pairs);
    }

    // How often |t| is beyond the critical one where the true difference is so many standard errors: over the values that the estimated
    // standard error takes, in equal shares of probability.
    private double PowerOf(double difference, double critical) => Enumerable.Range(0, Shares).Average(share =>
    {
        var error = Math.Sqrt(ChiSquared.InvCDF(Pairs - 1, (share + 0.5) / Shares) / (Pairs - 1));
        return Normal.CDF(0, 1, difference - critical * error) + Normal.CDF(0, 1, -difference - critical * error);
    });

    /// <summary>The sample standard deviation, by n - 1.</summary>
    public static double DeviationOf(IReadOnlyCollection<double> values)
    {
        var mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1));
    }

    /// <summary>
    /// Holm's correction (1979): with many comparisons some differ by chance. An adjusted p below the level is that of a real difference in
    /// all but 5 % of such tables, whatever the others are.
    /// </summary>
    /// <param name="p">The p of each comparison; NaN stays NaN and counts for nothing.</param>
    public static IReadOnlyList<double> Holm(IReadOnlyList<double> p)
    {
        var (adjusted, least) = (p.ToArray(), 0.0);
        int[] order = [.. Enumerable.Range(0, p.Count).Where(i => !double.IsNaN(p[i])).OrderBy(i => p[i])];
        for (var rank = 0; rank < order.Length; rank++)
        {
            least = Math.Max(least, Math.Min(1, p[order[rank]] * (order.Length - rank)));
            adjusted[order[rank]] = least;
        }
        return adjusted;
    }

    private static double Quantile(double share, int pairs) => StudentT.InvCDF(0, 1, pairs - 1, share);
}
