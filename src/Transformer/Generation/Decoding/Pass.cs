namespace Transformer.Generation.Decoding;

// N tokens

/// <summary>
/// The tokens that go through the model together: stretches of one or more rows, one behind the other without filling. Each stretch continues what the state
/// holds of its row.
/// </summary>
/// <param name="most">The most tokens.</param>
internal sealed class Pass(int most)
{
    private readonly int[] stretchRows = new int[most], stretchFirsts = new int[most], stretchCounts = new int[most], stretchLengths = new int[most];
    private readonly int[] rows = new int[most], positions = new int[most], lengths = new int[most];

    /// <summary>N.</summary>
    public int Tokens { get; private set; }

    /// <summary>How many stretches there are.</summary>
    public int Stretches { get; private set; }

    /// <summary>Forgets everything.</summary>
    public void Clear() => Tokens = Stretches = 0;

    /// <summary>Adds tokens of a row.</summary>
    /// <param name="row">The row of the state.</param>
    /// <param name="start">How many tokens the row has before them.</param>
    /// <param name="count">How many are added.</param>
    /// <param name="length">How many the row will have when all of the text that is being read has been.</param>
    public void Add(int row, int start, int count, int length)
    {
        (stretchRows[Stretches], stretchFirsts[Stretches], stretchCounts[Stretches], stretchLengths[Stretches]) = (row, Tokens, count, length);
        Stretches++;
        for (var i = 0; i < count; i++, Tokens++) (rows[Tokens], positions[Tokens], lengths[Tokens]) = (row, start + i, length);
    }

    /// <summary>The row of a stretch.</summary>
    public int RowOf(int stretch) => stretchRows[stretch];

    /// <summary>The first token of a stretch.</summary>
    public int First(int stretch) => stretchFirsts[stretch];

    /// <summary>The number of tokens of a stretch.</summary>
    public int Count(int stretch) => stretchCounts[stretch];

    /// <summary>The row that a token belongs to.</summary>
    public int Row(int token) => rows[token];

    /// <summary>A token's place in its row, from 0 on.</summary>
    public int Position(int token) => positions[token];

    /// <summary>The length that a token's row will have when all of the text that is being read has been.</summary>
    public int Length(int token) => lengths[token];
}
