
namespace Transformer.Generation;

/// <summary>
/// Looks for stop strings in a text that comes in pieces. What might still become one is held back. Of several the one that is complete
/// first counts, so that the borders of the pieces change nothing.
/// </summary>
/// <param name="stops">The stop strings, none empty.</param>
internal sealed class StopScanner(IReadOnlyList<string> stops)
{
    private string held = "";

    /// <summary>Whether a stop string has come.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes the next piece.</summary>
    /// <returns>The text that is now known to stand before any stop string.</returns>
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
    /// <returns>What was held back.</returns>
    public string Flush() => Stopped ? "" : Release(held.Length);

    private string Release(int length)
    {
        var released = held[..length];
        held = held[length..];
        return released;
    }

    // The longest end of the text with which a stop string begins.
    private int Unsure()
    {
        for (var length = Math.Min(held.Length, stops.Count == 0 ? 0 : stops.Max(stop => stop.Length) - 1); length > 0; length--)
            if (stops.Any(stop => stop.Length > length && stop.StartsWith(held[^length..], StringComparison.Ordinal))) return length;
        return 0;
    }
}
