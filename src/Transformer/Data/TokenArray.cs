namespace Transformer.Data;

/// <summary>Tokens in memory.</summary>
public sealed class TokenArray(int[] tokens) : TokenSequence
{
    /// <inheritdoc/>
    public override long Length => tokens.Length;

    private protected override void Copy(long offset, Span<long> into)
    {
        var from = tokens.AsSpan((int)offset, into.Length);
        for (var i = 0; i < into.Length; i++) into[i] = from[i];
    }
}
