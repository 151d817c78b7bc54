namespace Transformer.Configuration;

/// <summary>Finds what a misspelt name was probably meant to be.</summary>
public static class Spelling
{
    /// <summary>
    /// The candidate with the least edit distance to a name, or null where none is near: a third of the name may differ, and always one
    /// character.
    /// </summary>
    public static string? Nearest(string name, IEnumerable<string> candidates)
    {
        var best = candidates.Select(candidate => (candidate, distance: Distance(name, candidate)))
            .OrderBy(pair => pair.distance).FirstOrDefault();
        return best.candidate is not null && best.distance <= Math.Max(1, name.Length / 3) ? best.candidate : null;
    }

    /// <summary>An unknown word among known ones: found, allowed and nearest.</summary>
    public static string NotOneOf(string found, IReadOnlyCollection<string> allowed)
    {
        var nearest = Nearest(found, allowed);
        return $"found {found}, expected one of {string.Join(", ", allowed)}{(nearest is null ? "" : $"; did you mean {nearest}?")}";
    }

    /// <summary>
    /// The number of characters to insert, delete, replace or swap with their neighbour that turn one text into the other.
    /// </summary>
    public static int Distance(string from, string to)
    {
        var distance = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++)
        {
            for (var j = 0; j <= to.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    distance[i, j] = i + j;
                    continue;
                }
                var replaced = distance[i - 1, j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
                distance[i, j] = Math.Min(replaced, 1 + Math.Min(distance[i - 1, j], distance[i, j - 1]));
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                    distance[i, j] = Math.Min(distance[i, j], 1 + distance[i - 2, j - 2]);
            }
        }
        return distance[from.Length, to.Length];
    }
}
