using Transformer.Runs;

namespace Transformer.Data.Tasks;

// T tokens · K pairs

/// <summary>
/// Recall over several hops: . 4 7 . . 7 2 . 2 4 . ?1 7 ?2 7, to be answered with 2 after ?1 7 and with 4 after ?2 7, since 7 leads to 2
/// and 2 to 4. The pairs are one cycle through K symbols, so that every number of hops below K leads to another symbol.
/// </summary>
internal sealed class MultiHopTask(MultiHopTaskConfig config) : SequenceTask
{
    private readonly int pairs = config.Pairs, blank = config.Symbols;

    public override IReadOnlyList<string> Words { get; } =
        Numbered(config.Symbols, [".", .. Enumerable.Range(1, config.Hops).Select(hops => $"?{hops}")]);

    public override long Tokens(int length) => length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var cycle = random.Different(pairs, config.Symbols);
        WritePairs(row, cycle, length - config.QueryTokens * config.Queries, random);
        for (var query = 0; query < config.Queries; query++)
        {
            var start = random.Below(pairs);
            var hops = AsksForFewer(row) ? 1 + random.Below(config.Hops) : config.Hops;
            int[] reached = [.. Enumerable.Range(1, hops).Select(hop => cycle[(start + hop) % pairs])];
            row.Give(blank + hops);
            row.Give(cycle[start]);
            row.AskInTurn(config.ChainOfThought ? reached : reached[^1..]);
        }
    }

    private bool AsksForFewer(TaskRow row) => row.Split == TaskSplit.Training && !config.ChainOfThought;

    // A pair and the blank behind it, without which a value and the next key would look like a pair, are one thing of three tokens, another
    // blank is one: any K of the things are the pairs.
    private void WritePairs(TaskRow row, int[] cycle, int tokens, RowRandom random)
    {
        var count = tokens - 2 * pairs;
        var things = random.Different(pairs, count);
        for (var thing = 0; thing < count; thing++)
        {
            var pair = Array.IndexOf(things, thing);
            if (pair >= 0)
            {
                row.Give(cycle[pair]);
                row.Give(cycle[(pair + 1) % pairs]);
            }
            row.Give(blank);
        }
    }
}
