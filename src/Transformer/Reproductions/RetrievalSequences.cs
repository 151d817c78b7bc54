using Transformer.Data;
using Transformer.Data.Tasks;
using static TorchSharp.torch;

namespace Transformer.Reproductions;

// B sequences · T associations · N queries · S keys, as many values

/// <summary>
/// A stream of sequences of associations, each a function of the stream's key and its number, so that any can be drawn again.
/// </summary>
/// <param name="keys">S</param>
/// <param name="replacement">Whether keys and values are drawn with replacement: a key then holds what it was given last.</param>
/// <param name="length">T</param>
/// <param name="stream">The stream's key.</param>
internal sealed class RetrievalSequences(int keys, bool replacement, int length, ulong stream)
{
    /// <summary>Associations and queries. Keys and values are [B, T], queries and their answers [B, N].</summary>
    public readonly record struct Batch(Tensor Keys, Tensor Values, Tensor Queries, Tensor Answers);

    /// <summary>B sequences from a number on, each queried with the key of one of its associations.</summary>
    public Batch Rows(long first, int count)
    {
        var (given, values, queries, answers) = (new List<long>(), new List<long>(), new List<long>(), new List<long>());
        for (var row = first; row < first + count; row++)
        {
            var (pairs, random) = Draw(row);
            given.AddRange(pairs.Select(pair => pair.Key));
            values.AddRange(pairs.Select(pair => pair.Value));
            var (key, _) = pairs[random.Below(length)];
            queries.Add(key);
            answers.Add(pairs.Last(pair => pair.Key == key).Value);
        }
        return new(Rows(given, count), Rows(values, count), Rows(queries, count), Rows(answers, count));
    }

    /// <summary>One sequence, queried with all of its keys.</summary>
    public Batch AllOf(long row)
    {
        var (pairs, _) = Draw(row);
        var memory = new Dictionary<long, long>();
        foreach (var (key, value) in pairs) memory[key] = value;
        return new(
            Rows(pairs.Select(pair => pair.Key), 1), Rows(pairs.Select(pair => pair.Value), 1),
            Rows(memory.Keys, 1), Rows(memory.Values, 1));
    }

    private (List<(long Key, long Value)> Pairs, RowRandom Random) Draw(long row)
    {
        var random = new RowRandom(CounterRandom.Bits(stream, (ulong)row));
        return ([.. Ids().Zip(Ids(), (key, value) => ((long)key, (long)value))], random);

        int[] Ids() => replacement ? [.. Enumerable.Range(0, length).Select(_ => random.Below(keys))] : random.Different(length, keys);
    }

    private static Tensor Rows(IEnumerable<long> ids, int rows) => tensor(ids.ToArray()).view(rows, -1);
}
