using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Selective copying (Gu and Dao 2023, arXiv:2312.00752, section 4.1): symbols among blanks, a bar, and the symbols: . a . . b . | a b.
/// </summary>
internal sealed class SelectiveCopyTask(SelectiveCopyTaskConfig config) : SequenceTask
{
    private readonly int blank = config.Symbols, bar = config.Symbols + 1;

    public override IReadOnlyList<string> Words { get; } = Numbered(config.Symbols, ".", "|");

    // The last answer is only a target.
    public override long Tokens(int length) => (long)length + config.Marked;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var positions = random.Different(config.Marked, length);
        var symbols = positions.Order().ToDictionary(position => position, _ => random.Below(config.Symbols));
        for (var position = 0; position < length; position++) row.Give(symbols.GetValueOrDefault(position, blank));
        row.Give(bar);
        row.AskInTurn([.. symbols.Values]);
    }
}
