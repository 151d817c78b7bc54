namespace Transformer.Generation.Constraints;

/// <summary>
/// The bytes of a vocabulary's tokens as a trie: tokens with a common prefix share its path, so that a prefix that cannot follow is
/// rejected once for all of them. Nodes are stored in preorder, and each has the end of its subtree.
/// </summary>
internal sealed class TokenTrie
{
    private const int None = -1;

    private readonly List<Node> nodes = [];
    private readonly int[] duplicates;    // for each token the next one with the same bytes
    private readonly int deepest;

    /// <param name="tokens">The tokens; those without bytes are left out.</param>
    /// <param name="bytesOf">The bytes of a token.</param>
    /// <param name="vocabularySize">More than any token.</param>
    public TokenTrie(IEnumerable<int> tokens, Func<int, byte[]> bytesOf, int vocabularySize)
    {
        duplicates = new int[vocabularySize];
        var open = new List<int>();    // the nodes of the last token's bytes
        byte[] last = [];
        foreach (var (bytes, token) in tokens.Select(token => (Bytes: bytesOf(token), Token: token)).Where(token => token.Bytes.Length > 0)
            .OrderBy(token => token.Bytes, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b))))
        {
            Close(open, bytes.AsSpan().CommonPrefixLength(last));
            while (open.Count < bytes.Length)
            {
                nodes.Add(new Node(bytes[open.Count], open.Count, None, None));
                open.Add(nodes.Count - 1);
            }
            duplicates[token] = nodes[open[^1]].Token;
            nodes[open[^1]] = nodes[open[^1]] with { Token = token };
            last = bytes;
        }
        Close(open, 0);
        deepest = nodes.Select(node => node.Depth).DefaultIfEmpty().Max();
    }

    /// <summary>Reports all tokens that can follow in this state.</summary>
    public void Visit(Automaton automaton, AutomatonState state, Action<int> found)
    {
        var path = new AutomatonState[deepest + 2];
        path[0] = state;
        for (var at = 0; at < nodes.Count;)
        {
            var node = nodes[at];
            if (automaton.Next(path[node.Depth], node.Byte) is not { } next)
            {
                at = node.End;
                continue;
            }
            path[node.Depth + 1] = next;
            for (var token = node.Token; token != None; token = duplicates[token]) found(token);
            at++;
        }
    }

    private void Close(List<int> open, int depth)
    {
        for (; open.Count > depth; open.RemoveAt(open.Count - 1)) nodes[open[^1]] = nodes[open[^1]] with { End = nodes.Count };
    }

    private readonly record struct Node(byte Byte, int Depth, int Token, int End);
}
