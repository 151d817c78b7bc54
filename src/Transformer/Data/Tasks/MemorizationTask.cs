using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Memorization (Poli et al. 2024, arXiv:2403.17844): k7 _ k2 _, to be answered with the value of k7 and that of k2, which are the same in
/// every row and never stand in one.
/// </summary>
internal sealed class MemorizationTask(MemorizationTaskConfig config) : SequenceTask
{
    private const ulong ValuesStream = 6;
    private readonly Permutation values = new(config.Keys, CounterRandom.Bits((ulong)(uint)config.Seed, ValuesStream));

    public override IReadOnlyList<string> Words { get; } =
    [
        .. Enumerable.Range(0, config.Keys).Select(key => $"k{key}"), .. Enumerable.Range(0, config.Keys).Select(value => $"v{value}"), "_",
    ];

    public override long Tokens(int length) => length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        for (var pair = 0; pair < length / 2; pair++)
        {
            var key = random.Below(config.Keys);
            row.Give(key);
            row.Give(2 * config.Keys);
            row.Ask(config.Keys + (int)values.At(key));
        }
    }
}
