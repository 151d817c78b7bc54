using Transformer.Configuration;

namespace Transformer.Comparison;

/// <summary>A key whose best value is looked for, for every design by itself: the learning rate, as a rule.</summary>
/// <param name="Key">The dotted key of a number.</param>
/// <param name="Values">The values that are tried, ascending.</param>
public sealed record Sweep(string Key, IReadOnlyList<double> Values)
{
    private const int DefaultPoints = 5, MostPoints = 100;

    // What decides neither the size of a model nor what it is measured on.
    private static readonly string[] Sweepable =
    [
        "training.optimizer.", "training.schedule.", "training.gradient_clip", "training.z_loss", "training.ema_decay", "model.dropout",
        "model.initialization.",
    ];

    /// <summary>Whether it gives each design a learning rate of its own.</summary>
    public bool IsOfRate => Key.EndsWith("learning_rate", StringComparison.Ordinal);

    /// <summary>
    /// Reads <c>KEY=LOW:HIGH[:log|linear][:POINTS]</c>; values are spaced evenly in their logarithms unless linear is said.
    /// </summary>
    /// <exception cref="InputException">The text is something else.</exception>
    public static Sweep Parse(string text)
    {
        var at = text.IndexOf('=');
        var parts = at < 1 ? [] : text[(at + 1)..].Split(':');
        var (isLog, points) = (true, DefaultPoints);
        var isRight = parts.Length is >= 2 and <= 4
            && Number(parts[0]) is > 0 and var low && Number(parts[1]) is { } high && high > low && double.IsFinite(high);
        foreach (var part in parts.Skip(2))
        {
            if (part is "log" or "linear") isLog = part == "log";
            else isRight &= int.TryParse(part, out points) && points is >= 2 and <= MostPoints;
        }
        if (!isRight)
            throw new InputException($"--sweep {text}: expected KEY=LOW:HIGH[:log|linear][:POINTS] with 0 < LOW < HIGH and 2 to " +
                $"{MostPoints} points, e.g. --sweep training.optimizer.learning_rate=1e-4:1e-2:log");
        var (least, most) = (Number(parts[0])!.Value, Number(parts[1])!.Value);
        var key = text[..at].Trim();
        if (!Sweepable.Any(part => key.StartsWith(part, StringComparison.Ordinal)))
            throw new InputException($"--sweep {key}: found a key that decides more than how well a design learns; expected one below " +
                $"{string.Join(", ", Sweepable.Select(part => part.TrimEnd('.')))}. Vary it instead (--vary).");
        double[] values = [.. Enumerable.Range(0, points).Select(i => (double)i / (points - 1)).Select(share =>
            Round(isLog ? least * Math.Pow(most / least, share) : least + (most - least) * share))];
        return values.Distinct().Count() == points ? new(key, values)
            : throw new InputException($"--sweep {text}: {points} values are too near to each other; take fewer");
    }

    /// <summary>A value as an override.</summary>
    public string Setting(double value) => $"{Key}={Text(value)}";

    /// <summary>A value as text, read back as the same number.</summary>
    public static string Text(double value) => value.ToString("r");

    // Three digits are enough for a rate, and can be read.
    private static double Round(double value) => double.Parse(value.ToString("e2"));

    private static double? Number(string text) =>
        double.TryParse(text, out var number) ? number : null;
}
