namespace Transformer.Generation;

/// <summary>
/// Proposes draft tokens from the text itself (Saxena 2023, prompt lookup): where its last tokens occurred before, what followed then may
/// follow now. It costs almost nothing, and is often right where a text repeats its prompt.
/// </summary>
internal sealed class PromptLookup : Proposer
{
    private const int LongestMatch = 4;

    /// <summary>What followed the latest earlier occurrence of the text's last tokens, the longest match first.</summary>
    /// <inheritdoc/>
    public override int Propose(ReadOnlySpan<int> text, Span<int> drafted)
    {
        for (var length = Math.Min(LongestMatch, text.Length - 1); length > 0; length--)
        {
            // The match ends before the end of the text, so that at least one token follows it.
            var found = text[..^1].LastIndexOf(text[^length..]);
            if (found < 0) continue;
            var following = text[(found + length)..];
            var picture = following.IndexOfAnyInRange(int.MinValue, -1);
            var count = Math.Min(picture < 0 ? following.Length : picture, drafted.Length);
            if (count == 0) continue;
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
