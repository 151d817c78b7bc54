namespace Transformer.Generation;

/// <summary>
/// Proposes how a text goes on by what is in it (Saxena 2023, prompt lookup): where its last tokens occurred before, what followed then may
/// follow now. Costs nearly nothing, and is often right where a text repeats what it was given.
/// </summary>
internal sealed class PromptLookup : Proposer
{
    private const int LongestMatch = 4;

    /// <summary>What followed the latest earlier occurrence of the text's last tokens, the more of them the better.</summary>
    /// <inheritdoc/>
    public override int Propose(ReadOnlySpan<int> text, Span<int> drafted)
    {
        for (var length = Math.Min(LongestMatch, text.Length - 1); length > 0; length--)
        {
            // The match ends before the text's own end, so that something follows it.
            var found = text[..^1].LastIndexOf(text[^length..]);
            if (found < 0) continue;
            var following = text[(found + length)..];
            var count = Math.Min(following.Length, drafted.Length);
            following[..count].CopyTo(drafted);
            return count;
        }
        return 0;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
    }
}
