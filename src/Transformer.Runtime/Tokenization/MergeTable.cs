namespace Transformer.Tokenization;

/// <summary>
/// The merges of byte-pair encoding (Sennrich et al. 2016): as long as two neighbours have a merge, the pair of the lowest rank (the
/// leftmost on a tie) becomes one symbol.
/// </summary>
internal sealed class MergeTable
{
    private readonly Dictionary<(int Left, int Right), (int Rank, int Merged)> merges = [];

    /// <summary>Adds a merge; if a pair is given twice, the lower rank is kept.</summary>
    public void Add(int left, int right, int rank, int merged)
    {
        if (!merges.TryGetValue((left, right), out var known) || rank < known.Rank) merges[(left, right)] = (rank, merged);
    }

    /// <summary>The merges in order of rank.</summary>
    public IEnumerable<(int Left, int Right, int Merged)> InOrder() =>
        merges.OrderBy(merge => merge.Value.Rank).ThenBy(merge => merge.Key)
            .Select(merge => (merge.Key.Left, merge.Key.Right, merge.Value.Merged));

    /// <summary>Appends the merged symbols to the result, in n log n steps. The symbols are overwritten.</summary>
    public void Apply(Span<int> symbols, List<int> result)
    {
        // A linked list over the array; next[i] is symbols.Length at the end, and a symbol that was merged away is -1.
        var count = symbols.Length;
        var (next, last) = (new int[count], new int[count]);
        var candidates = new PriorityQueue<(int At, int Left, int Right), (int Rank, int At)>();
        for (var i = 0; i < count; i++)
        {
            (next[i], last[i]) = (i + 1, i - 1);
            if (i + 1 < count) Offer(symbols[i], symbols[i + 1], i);
        }
        while (candidates.TryDequeue(out var pair, out _))
        {
            var (at, left, right) = pair;
            if (symbols[at] != left || next[at] == count || symbols[next[at]] != right) continue;    // a neighbour was merged since
            var gone = next[at];
            symbols[at] = merges[(left, right)].Merged;
            symbols[gone] = -1;
            next[at] = next[gone];
            if (next[at] < count)
            {
                last[next[at]] = at;
                Offer(symbols[at], symbols[next[at]], at);
            }
            if (last[at] >= 0) Offer(symbols[last[at]], symbols[at], last[at]);
        }
        foreach (var symbol in symbols)
        {
            if (symbol >= 0) result.Add(symbol);
        }

        void Offer(int left, int right, int at)
        {
            if (merges.TryGetValue((left, right), out var merge)) candidates.Enqueue((at, left, right), (merge.Rank, at));
        }
    }
}
