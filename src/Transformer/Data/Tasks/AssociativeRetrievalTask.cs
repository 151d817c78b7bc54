using Transformer.Runs;

namespace Transformer.Data.Tasks;

// S pairs

/// <summary>
/// Associative retrieval (Schlag et al. 2021, arXiv:2102.11174, section 6.1) in tokens: k1 v1 ... kS vS k, to be answered by the value that
/// was last written to k. Keys are drawn with or without replacement, values with.
/// </summary>
internal sealed class AssociativeRetrievalTask(AssociativeRetrievalTaskConfig config) : SequenceTask
{
    public override IReadOnlyList<string> Words { get; } =
        [.. Enumerable.Range(0, config.Keys).Select(key => $"k{key}"), .. Enumerable.Range(0, config.Values).Select(value => $"v{value}")];

    public override long Tokens(int length) => 2L * length + 1;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        int[] keys = config.Replacement
            ? [.. Enumerable.Range(0, length).Select(_ => random.Below(config.Keys))]
            : random.Different(length, config.Keys);
        var memory = new Dictionary<int, int>();
        foreach (var key in keys)
        {
            memory[key] = config.Keys + random.Below(config.Values);
            row.Give(key);
            row.Give(memory[key]);
        }
        var asked = memory.ElementAt(random.Below(memory.Count));
        row.Give(asked.Key);
        row.Ask(asked.Value);
    }
}
