namespace Transformer.Data;

/// <summary>Token ids in their order, in memory or on disk. Reading is safe from several threads.</summary>
public abstract class TokenSequence : IDisposable
{
    /// <summary>The number of tokens.</summary>
    public abstract long Length { get; }

    /// <summary>Copies the tokens from <paramref name="offset"/> on until the span is full.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the sequence.</exception>
    public void Read(long offset, Span<long> into)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - into.Length);
        Copy(offset, into);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    private protected abstract void Copy(long offset, Span<long> into);

    /// <summary>Releases what the sequence holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
