using Transformer.Runs;

namespace Transformer.Data.Tasks;

// S pairs

/// <summary>
/// Associative retrieval (Schlag et al. 2021, arXiv:2102.11174, section 6.1) in tokens: k1 v1 ... kS vS k, to be answered by the value that
/// was last written to k, and perhaps more keys with their values. Keys are drawn with or without replacement, values with.
/// </summary>
internal sealed class AssociativeRetrievalTask(AssociativeRetrievalTaskConfig config) : SequenceTask
{
    public override IReadOnlyList<string> Words { get; } =
        [.. Enumerable.Range(0, config.Keys).Select(key => $"k{key}"), .. Enumerable.Range(0, config.Values).Select(value => $"v{value}")];

    // The last answer is only a target.
    public override long Tokens(int length) => 2L * length + 2L * config.Queries - 1;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        int[] keys = config.Replacement
            ? [.. Enumerable.Range(0, length).Select(_ => random.Below(config.Keys))]
            : random.Different(length, config.Keys);
        var (memory, last) = (new Dictionary<int, int>(), 0);
        foreach (var key in keys)
        {
            memory[key] = config.Keys + random.Below(config.Values);
            row.Give(key);
            row.Give(memory[key]);
        }
        for (var query = 0; query < config.Queries; query++)
        {
            var (key, value) = memory.ElementAt(random.Below(memory.Count));
            if (query > 0) row.Give(last);
            row.Give(key);
            row.Ask(value);
            last = value;
            memory.Remove(key);
        }
    }
}
