using Transformer.Runs;

namespace Transformer.Data.Tasks;

// T tokens · K pairs · V vocabulary

/// <summary>
/// Multi-query associative recall (Arora et al. 2023, arXiv:2312.04927): K key/value pairs, then query i, which is key i again, at position
/// 2K + 2 g_i. The gaps g are drawn without replacement, gap g (from 0) with a weight of (g + 1)^(a - 1).
/// </summary>
internal sealed class MqarTask(MqarTaskConfig config) : SequenceTask
{
    private readonly int pairs = config.Pairs;

    public override IReadOnlyList<string> Words { get; } = Numbered(config.Vocabulary);

    public override long Tokens(int length) => length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var firstValue = config.Vocabulary / 2;
        var keys = random.Different(pairs, firstValue - 1);                             // from 1 on: 0 is padding
        var values = random.Different(pairs, config.Vocabulary - firstValue);
        for (var pair = 0; pair < pairs; pair++)
        {
            row.Give(1 + keys[pair]);
            row.Give(firstValue + values[pair]);
        }

        var gaps = Gaps((length - 2 * pairs) / 2, random);
        for (var position = 0; position < length - 2 * pairs; position++)
        {
            var query = position % 2 == 0 ? Array.IndexOf(gaps, position / 2) : -1;
            if (query < 0) row.Give(config.RandomFilling ? random.Below(config.Vocabulary) : 0);
            else
            {
                row.Give(1 + keys[query]);
                row.Ask(firstValue + values[query]);
            }
        }
    }

    // Each gap gets an exponential arrival time with its weight as the rate. The first K to arrive are K draws without replacement
    // (Efraimidis and Spirakis 2006).
    private int[] Gaps(int count, RowRandom random)
    {
        var gaps = Enumerable.Range(0, count).ToArray();
        var arrivals = Array.ConvertAll(gaps, gap => -Math.Log(random.Uniform()) * Math.Pow(gap + 1, 1 - config.Power));
        Array.Sort(arrivals, gaps);
        return gaps[..pairs];
    }
}
