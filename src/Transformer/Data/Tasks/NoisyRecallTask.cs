using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Noisy in-context recall (Poli et al. 2024, arXiv:2403.17844): k1 v3 n7 n2 k4 v3 k1, to be answered with v3 after the second k1. The last
/// pair repeats a key of the row, so that every row has a question.
/// </summary>
internal sealed class NoisyRecallTask(NoisyRecallTaskConfig config) : SequenceTask
{
    private readonly int firstNoise = config.Keys + config.Values;

    public override IReadOnlyList<string> Words { get; } =
    [
        .. Enumerable.Range(0, config.Keys).Select(key => $"k{key}"),
        .. Enumerable.Range(0, config.Values).Select(value => $"v{value}"),
        .. Enumerable.Range(0, config.NoiseSymbols).Select(noise => $"n{noise}"),
    ];

    // The last answer is only a target.
    public override long Tokens(int length) => length - 1;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var others = length / 2 - 1;
        var certain = random.Below(others);    // a place without noise, so that there is a key to repeat
        var memory = new Dictionary<int, int>();
        for (var place = 0; place < others; place++)
        {
            var isNoise = random.Uniform() < config.Noise && place != certain;
            if (isNoise) WriteNoise(row, random);
            else row.Give(WriteKey(row, random.Below(config.Keys), memory, random));
        }
        WriteKey(row, memory.Keys.ElementAt(random.Below(memory.Count)), memory, random);
    }

    private void WriteNoise(TaskRow row, RowRandom random)
    {
        row.Give(firstNoise + random.Below(config.NoiseSymbols));
        row.Give(firstNoise + random.Below(config.NoiseSymbols));
    }

    // Returns the key's value, which is asked for if the key has been there before.
    private int WriteKey(TaskRow row, int key, Dictionary<int, int> memory, RowRandom random)
    {
        row.Give(key);
        if (memory.TryGetValue(key, out var value)) row.Ask(value);
        else memory[key] = value = config.Keys + random.Below(config.Values);
        return value;
    }
}
