namespace Transformer.Inference.Cpu;

// N tokens

/// <summary>
/// The tokens of one batch: spans of one or more rows, one behind the other without padding. Each span
/// continues what the state holds of its row.
/// </summary>
/// <param name="most">The most tokens.</param>
internal sealed class TokenBatch(int most)
{
    /// <summary>The id of what is no token and no picture.</summary>
    public const int None = int.MinValue;

    private readonly int[] spanRows = new int[most], spanFirsts = new int[most], spanCounts = new int[most], spanLengths = new int[most];
    private readonly int[] rows = new int[most], positions = new int[most], lengths = new int[most], ids = new int[most];

    /// <summary>N.</summary>
    public int Tokens { get; private set; }

    /// <summary>How many spans there are.</summary>
    public int Spans { get; private set; }

    /// <summary>Removes all spans.</summary>
    public void Clear() => Tokens = Spans = 0;

    /// <summary>Adds tokens of a row.</summary>
    /// <param name="row">The row of the state.</param>
    /// <param name="start">How many tokens the row has before them.</param>
    /// <param name="count">How many are added.</param>
    /// <param name="length">How many the row will have when the whole text has been read.</param>
    public void Add(int row, int start, int count, int length)
    {
        (spanRows[Spans], spanFirsts[Spans], spanCounts[Spans], spanLengths[Spans]) = (row, Tokens, count, length);
        Spans++;
        for (var i = 0; i < count; i++, Tokens++)
            (rows[Tokens], positions[Tokens], lengths[Tokens], ids[Tokens]) = (row, start + i, length, None);
    }

    /// <summary>Says which tokens these are.</summary>
    /// <param name="ids">[N]; empty where they are none.</param>
    public void SetIds(ReadOnlySpan<int> ids) => ids.CopyTo(this.ids);

    /// <summary>The row of a span.</summary>
    public int RowOf(int span) => spanRows[span];

    /// <summary>The first token of a span.</summary>
    public int First(int span) => spanFirsts[span];

    /// <summary>The number of tokens of a span.</summary>
    public int Count(int span) => spanCounts[span];

    /// <summary>The row that a token belongs to.</summary>
    public int Row(int token) => rows[token];

    /// <summary>The id of a token, below 0 for a picture; <see cref="None"/> for what is neither.</summary>
    public int Id(int token) => ids[token];

    /// <summary>Whether a picture stands in the place of a token.</summary>
    public bool IsPicture(int token) => ids[token] is < 0 and not None;

    /// <summary>A token's position in its row, from 0 on.</summary>
    public int Position(int token) => positions[token];

    /// <summary>The length that a token's row will have when the whole text has been read.</summary>
    public int Length(int token) => lengths[token];
}
