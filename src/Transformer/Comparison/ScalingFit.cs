using Transformer.Configuration;

namespace Transformer.Comparison;

// N parameters · D tokens · L loss · E what no model and no data take away

/// <summary>
/// A scaling law fitted to runs of several sizes: L(N, D) = E + A N^-α + B D^-β (Hoffmann et al. 2022, arXiv:2203.15556, their third
/// approach, by least squares of relative errors). A quantity that is the same in all runs has no term. Intervals are those of 200 fits to
/// losses whose errors were drawn anew from the errors of the first fit, which are enlarged for the constants that were fitted to them.
/// </summary>
/// <param name="Irreducible">E.</param>
/// <param name="Parameters">A and α; null where all runs have as many parameters.</param>
/// <param name="Tokens">B and β; null where all runs have as many tokens.</param>
/// <param name="Error">The root of the mean squared relative error.</param>
public sealed record ScalingFit(Interval Irreducible, PowerTerm? Parameters, PowerTerm? Tokens, double Error)
{
    private const int Resamples = 200, Zooms = 5, Choices = 9;
    private const double LeastExponent = 0.01, MostExponent = 3;

    /// <summary>Fits the law.</summary>
    /// <param name="points">The runs: those of four sizes or more of each quantity that varies.</param>
    /// <param name="seed">Draws the errors of the further fits.</param>
    public static ScalingFit Of(IReadOnlyList<ScalingPoint> points, int seed = 0)
    {
        var (sizes, lengths) = Sizes([.. points.Select(point => (point.Parameters, point.Tokens))]);
        if (!AreEnough(sizes, lengths)) throw new ArgumentException("four sizes or more are needed", nameof(points));
        var problem = new Problem([.. points], sizes > 1, lengths > 1);
        var best = problem.Fit([.. points.Select(point => point.Loss)]);
        var fitted = points.Select(best.At).ToArray();
        var errors = points.Zip(fitted, (point, loss) => point.Loss / loss - 1).ToArray();
        var (constants, mean) = (1 + (sizes > 1 ? 2 : 0) + (lengths > 1 ? 2 : 0), errors.Average());
        var scale = Math.Sqrt((double)errors.Length / Math.Max(1, errors.Length - constants));
        double[] likely = [.. errors.Select(error => (error - mean) * scale)];
        var random = new Random(seed);
        var others = Enumerable.Range(0, Resamples)
            .Select(_ => problem.Fit([.. fitted.Select(loss => loss * (1 + likely[random.Next(likely.Length)]))])).ToList();
        return new(
            Of(law => law.E),
            sizes > 1 ? new(Of(law => law.A), Of(law => law.Alpha)) : null,
            lengths > 1 ? new(Of(law => law.B), Of(law => law.Beta)) : null,
            Math.Sqrt(errors.Average(error => error * error)));

        Interval Of(Func<Law, double> constant)
        {
            double[] sorted = [.. others.Select(constant).Order()];
            return new(constant(best), sorted[(int)(0.025 * Resamples)], sorted[(int)(0.975 * Resamples)]);
        }
    }

    /// <summary>The same; null where there are too few sizes.</summary>
    internal static ScalingFit? TryOf(IReadOnlyList<ScalingPoint> points)
    {
        var (sizes, lengths) = Sizes([.. points.Select(point => (point.Parameters, point.Tokens))]);
        return AreEnough(sizes, lengths) ? Of(points) : null;
    }

    /// <summary>Checks that runs have enough sizes for a law.</summary>
    /// <exception cref="InputException">They are too few.</exception>
    internal static void RequireSizes(IReadOnlyList<(double Parameters, double Tokens)> runs)
    {
        var (sizes, lengths) = Sizes(runs);
        if (!AreEnough(sizes, lengths))
            throw new InputException($"--scaling: found {sizes} numbers of parameters and {lengths} of tokens; a curve of three " +
                "constants needs four or more of what varies. Vary e.g. model.width or training.steps over more values.");
    }

    private static (int Parameters, int Tokens) Sizes(IReadOnlyList<(double Parameters, double Tokens)> runs) =>
        (runs.Select(run => run.Parameters).Distinct().Count(), runs.Select(run => run.Tokens).Distinct().Count());

    private static bool AreEnough(int sizes, int lengths) => Math.Max(sizes, lengths) >= 4 && Math.Min(sizes, lengths) is not (2 or 3);

    /// <summary>The loss that the law expects.</summary>
    public double At(double parameters, double tokens) =>
        Irreducible.Value + At(Parameters, parameters) + At(Tokens, tokens);

    private static double At(PowerTerm? term, double x) =>
        term is null ? 0 : term.Coefficient.Value * Math.Pow(x, -term.Exponent.Value);

    private readonly record struct Law(double E, double A, double Alpha, double B, double Beta)
    {
        public double At(ScalingPoint point) =>
            E + A * Math.Pow(point.Parameters, -Alpha) + B * Math.Pow(point.Tokens, -Beta);
    }

    // For given exponents the law is linear in E, A and B, so that only the exponents are searched.
    private sealed class Problem(ScalingPoint[] points, bool hasParameters, bool hasTokens)
    {
        private readonly double[] x = Centred(points, point => point.Parameters), y = Centred(points, point => point.Tokens);

        public Law Fit(double[] losses)
        {
            var (best, error) = (default(Law), double.PositiveInfinity);
            var (alpha, beta) = (hasParameters ? Range() : [0], hasTokens ? Range() : [0]);
            for (var zoom = 0; zoom < Zooms; zoom++)
            {
                foreach (var a in alpha)
                    foreach (var b in beta)
                        if (Solve(losses, a, b) is var (law, found) && found < error) (best, error) = (law, found);
                if (hasParameters) alpha = Around(best.Alpha, alpha);
                if (hasTokens) beta = Around(best.Beta, beta);
            }
            return best;
        }

        // The constants for these exponents, none of them negative: the best of the fits that leave some terms out.
        private (Law Law, double Error) Solve(double[] losses, double alpha, double beta)
        {
            var columns = points.Select((_, i) => (double[])
            [
                1 / losses[i], hasParameters ? Math.Exp(-alpha * x[i]) / losses[i] : 0, hasTokens ? Math.Exp(-beta * y[i]) / losses[i] : 0,
            ]).ToArray();
            var (best, error) = (new double[3], double.PositiveInfinity);
            for (var kept = 1; kept < 8; kept++)
            {
                int[] terms = [.. Enumerable.Range(0, 3).Where(term => (kept >> term & 1) == 1)];
                if ((terms.Contains(1) && !hasParameters) || (terms.Contains(2) && !hasTokens)) continue;
                if (LeastSquares(columns, terms) is not { } constants || constants.Any(constant => constant < 0)) continue;
                var sum = columns.Sum(row => Math.Pow(row.Zip(constants, (value, constant) => value * constant).Sum() - 1, 2));
                if (sum < error) (best, error) = (constants, sum);
            }
            return (new(best[0], best[1] * Math.Exp(alpha * Centre(point => point.Parameters)), alpha,
                best[2] * Math.Exp(beta * Centre(point => point.Tokens)), beta), error);
        }

        private double Centre(Func<ScalingPoint, double> of) => points.Average(point => Math.Log(of(point)));

        // ln x less its mean, so that powers are near one.
        private static double[] Centred(ScalingPoint[] points, Func<ScalingPoint, double> of)
        {
            var logs = points.Select(point => Math.Log(of(point))).ToArray();
            return [.. logs.Select(log => log - logs.Average())];
        }

        private static double[] Range() => [.. Enumerable.Range(0, Choices).Select(i =>
            LeastExponent * Math.Pow(MostExponent / LeastExponent, (double)i / (Choices - 1)))];

        // Between the neighbours of the best.
        private static double[] Around(double best, double[] tried)
        {
            var at = Array.IndexOf(tried, best);
            if (at < 0) return tried;
            var (low, high) = (tried[Math.Max(0, at - 1)], tried[Math.Min(tried.Length - 1, at + 1)]);
            return [.. Enumerable.Range(0, Choices)
                .Select(i => i == Choices / 2 ? best : low * Math.Pow(high / low, (double)i / (Choices - 1))).Order()];
        }

        // The normal equations of a few terms for the target 1; null where terms cannot be told apart.
        private static double[]? LeastSquares(double[][] rows, int[] terms)
        {
            var n = terms.Length;
            var matrix = new double[n, n + 1];
            foreach (var row in rows)
            {
                for (var i = 0; i < n; i++)
                {
                    for (var j = 0; j < n; j++) matrix[i, j] += row[terms[i]] * row[terms[j]];
                    matrix[i, n] += row[terms[i]];
                }
            }
            for (var i = 0; i < n; i++)
            {
                if (matrix[i, i] < 1e-12) return null;
                for (var k = 0; k < n; k++)
                {
                    if (k == i) continue;
                    var factor = matrix[k, i] / matrix[i, i];
                    for (var j = i; j <= n; j++) matrix[k, j] -= factor * matrix[i, j];
                }
            }
            var constants = new double[3];
            for (var i = 0; i < n; i++) constants[terms[i]] = matrix[i, n] / matrix[i, i];
            return constants;
        }
    }
}
