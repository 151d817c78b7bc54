using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Addition modulo p (Nanda et al. 2023): a b =, to be answered with (a + b) mod p. One random order of all pairs has the training rows
/// first and then the validation rows, so that together they are every pair once.
/// </summary>
internal sealed class ModularAdditionTask(ModularAdditionTaskConfig config) : SequenceTask
{
    private const ulong OrderStream = 5;
    private readonly int modulus = config.Modulus, pairs = config.Modulus * config.Modulus;
    private readonly Permutation order =
        new(config.Modulus * config.Modulus, CounterRandom.Bits((ulong)(uint)config.Seed, OrderStream));

    public override IReadOnlyList<string> Words { get; } = Numbered(config.Modulus, "=");

    public override long Tokens(int length) => length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var first = row.Split == TaskSplit.Training ? 0 : config.TrainingRows!.Value;
        var (a, b) = Math.DivRem(order.At((first + (long)row.Number) % pairs), modulus);
        row.Give((int)a);
        row.Give((int)b);
        row.Give(modulus);
        row.Ask((int)((a + b) % modulus));
    }
}
