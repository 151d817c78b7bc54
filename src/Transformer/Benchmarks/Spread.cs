namespace Transformer.Benchmarks;

/// <summary>The median of several measurements and their extremes.</summary>
/// <param name="Median">Half of them are no greater, half no less.</param>
/// <param name="Minimum">The least.</param>
/// <param name="Maximum">The greatest.</param>
public readonly record struct Spread(double Median, double Minimum, double Maximum)
{
    /// <summary>The spread of one or more measurements.</summary>
    public static Spread Of(IEnumerable<double> measurements)
    {
        double[] sorted = [.. measurements.Order()];
        var middle = sorted.Length / 2;
        return new(sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2, sorted[0], sorted[^1]);
    }
}
