using Transformer.Runs;

namespace Transformer.Data.Tasks;

// T tokens · K pairs

/// <summary>
/// Recall over several hops: . 4 7 . . 7 2 2 4 . ?1 7 ?2 4, to be answered with 2 after ?1 7 and with 2 after ?2 4, since 4 leads to 7 and
/// 7 to 2. The pairs are one cycle through K symbols, so that every number of hops below K leads to another symbol.
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
        WritePairs(row, cycle, length - 2 * config.Queries, random);
        for (var query = 0; query < config.Queries; query++)
        {
            var start = random.Below(pairs);
            var hops = row.Split == TaskSplit.Training ? 1 + random.Below(config.Hops) : config.Hops;
            row.Give(blank + hops);
            row.Give(cycle[start]);
            row.Ask(cycle[(start + hops) % pairs]);
        }
    }

    // A pair takes two places, a blank one: so many places hold K fewer things than tokens, any K of which are the pairs.
    private void WritePairs(TaskRow row, int[] cycle, int tokens, RowRandom random)
    {
        var places = random.Different(pairs, tokens - pairs);
        for (var place = 0; place < tokens - pairs; place++)
        {
            var pair = Array.IndexOf(places, place);
            row.Give(pair < 0 ? blank : cycle[pair]);
            if (pair >= 0) row.Give(cycle[(pair + 1) % pairs]);
        }
    }
}
