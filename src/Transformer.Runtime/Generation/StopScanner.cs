
namespace Transformer.Generation;

/// <summary>
/// Looks for stop strings in a text that arrives in pieces. Text that may be the beginning of one is held back. Of several the one that is
/// complete first counts, however the text is split into pieces.
/// </summary>
/// <param name="stops">The stop strings, none empty.</param>
internal sealed class StopScanner(IReadOnlyList<string> stops)
{
    private string held = "";

    /// <summary>The text that is held back; none once a stop string was found.</summary>
    public string Held => Stopped ? "" : held;

    /// <summary>Whether a stop string was found.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds the next piece.</summary>
    /// <returns>The text that is certain to precede any stop string.</returns>
    public string Append(string text)
    {
        held += text;
        var (start, end) = (held.Length, int.MaxValue);
        foreach (var stop in stops)
        {
            var found = held.IndexOf(stop, StringComparison.Ordinal);
            if (found < 0 || found + stop.Length > end || (found + stop.Length == end && found > start)) continue;
            (start, end, Stopped) = (found, found + stop.Length, true);
        }
        return Release(Stopped ? start : held.Length - Unsure());
    }

    /// <summary>Ends the text.</summary>
    /// <returns>The text that was held back.</returns>
    public string Flush() => Stopped ? "" : Release(held.Length);

    private string Release(int length)
    {
        var released = held[..length];
        held = held[length..];
        return released;
    }

    // The longest suffix of the text that is a prefix of a stop string.
    private int Unsure()
    {
        for (var length = Math.Min(held.Length, stops.Count == 0 ? 0 : stops.Max(stop => stop.Length) - 1); length > 0; length--)
            if (stops.Any(stop => stop.Length > length && stop.StartsWith(held[^length..], StringComparison.Ordinal))) return length;
        return 0;
    }
}
