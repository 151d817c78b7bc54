namespace Transformer.Data.Tasks;

/// <summary>
/// Parity: random bits, each to be answered with the parity of the ones so far, its own included: 1 1 0 1 is answered with 1 0 0 1.
/// </summary>
internal sealed class ParityTask : SequenceTask
{
    public override IReadOnlyList<string> Words { get; } = Numbered(2);

    public override long Tokens(int length) => length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var parity = 0;
        for (var i = 0; i < length; i++)
        {
            var bit = random.Below(2);
            row.Give(bit);
            row.Ask(parity ^= bit);
        }
    }
}
