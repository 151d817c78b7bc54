namespace Transformer.Data.Tasks;

/// <summary>Symbols, a bar, and the symbols again, once or more, in their order or from the last to the first: a b c | a b c.</summary>
internal sealed class CopyTask(int symbols, bool backwards, int copies = 1) : SequenceTask
{
    public override IReadOnlyList<string> Words { get; } = Numbered(symbols, "|");

    // The last answer is only a target.
    public override long Tokens(int length) => (1L + copies) * length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var text = Enumerable.Range(0, length).Select(_ => random.Below(symbols)).ToArray();
        foreach (var symbol in text) row.Give(symbol);
        row.Give(symbols);
        if (backwards) Array.Reverse(text);
        row.AskInTurn([.. Enumerable.Repeat(text, copies).SelectMany(copy => copy)]);
    }
}
