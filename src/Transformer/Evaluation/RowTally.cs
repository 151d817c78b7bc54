using System.Globalization;
using Transformer.Data;

namespace Transformer.Evaluation;

/// <summary>How many rows of each sort are right in all of their answers.</summary>
internal sealed class RowTally
{
    private readonly SortedDictionary<string, (long Rows, long Right)> sorts = new(StringComparer.Ordinal);

    /// <summary>Counts the rows of a batch that says of what sort they are.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="right">For each token with a target, in their order, whether it is predicted.</param>
    public void Add(Batch batch, IReadOnlyList<bool> right)
    {
        if (batch.Sorts is not { } names) return;
        var next = 0;
        for (var row = 0; row < batch.Rows; row++)
        {
            var answers = batch.Targets.AsSpan(row * batch.Columns, batch.Columns);
            var tokens = batch.Columns - answers.Count(Batch.IgnoredTarget);
            Add(names[row], 1, right.Skip(next).Take(tokens).All(isRight => isRight) ? 1 : 0);
            next += tokens;
        }
    }

    private void Add(string sort, long rows, long right)
    {
        var (before, rightBefore) = sorts.GetValueOrDefault(sort);
        sorts[sort] = (before + rows, rightBefore + right);
    }

    /// <summary>As text that another process reads.</summary>
    public string ToText() => string.Join('\n', sorts.Select(sort =>
        string.Create(CultureInfo.InvariantCulture, $"{sort.Value.Rows} {sort.Value.Right} {sort.Key}")));

    /// <summary>What <see cref="ToText"/> has written.</summary>
    public static RowTally Parse(string text)
    {
        var tally = new RowTally();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = line.Split(' ', 3);
            tally.Add(parts[2], long.Parse(parts[0], CultureInfo.InvariantCulture), long.Parse(parts[1], CultureInfo.InvariantCulture));
        }
        return tally;
    }

    /// <summary>The share of right rows by sort; null where there are no sorts.</summary>
    public static IReadOnlyDictionary<string, double>? Sum(IReadOnlyList<RowTally> ranks)
    {
        var all = new RowTally();
        foreach (var (sort, (rows, right)) in ranks.SelectMany(rank => rank.sorts)) all.Add(sort, rows, right);
        return all.sorts.Count == 0 ? null : all.sorts.ToDictionary(sort => sort.Key, sort => (double)sort.Value.Right / sort.Value.Rows);
    }
}
