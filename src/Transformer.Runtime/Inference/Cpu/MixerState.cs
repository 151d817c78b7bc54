namespace Transformer.Inference.Cpu;

/// <summary>What one block's mixer carries of every row from one token to the next.</summary>
internal abstract class MixerState : IDisposable
{
    /// <summary>Its size in bytes.</summary>
    public abstract long Bytes { get; }

    /// <summary>Whether the last tokens of a row can be dropped by changing its length only.</summary>
    public abstract bool CanTruncate { get; }

    /// <summary>Resets a row to an empty text.</summary>
    public abstract void Clear(int row);

    /// <summary>Zeros the places behind a row's tokens, so that a file does not tell what an earlier text has left there.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens it holds.</param>
    public virtual void ClearFrom(int row, int length)
    {
    }

    /// <summary>Begins a row's next segment: keeps what is remembered of this one, and nothing else.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many places of its segment it holds.</param>
    public virtual void Carry(int row, int length) => Clear(row);

    /// <summary>Copies a row to another.</summary>
    /// <param name="from">The row to be copied.</param>
    /// <param name="to">The row that becomes equal to it.</param>
    /// <param name="length">How many tokens the first one holds.</param>
    public abstract void Copy(int from, int to, int length);

    /// <summary>Stores keys unrotated from now on, before the first token, so that they can move to other places.</summary>
    public virtual void KeepUnrotated()
    {
    }

    /// <summary>Drops tokens within a row; those behind them move up. A recurrence keeps what it has read.</summary>
    /// <param name="row">The row.</param>
    /// <param name="first">The first token to be dropped.</param>
    /// <param name="count">How many are dropped.</param>
    /// <param name="length">How many tokens the row holds.</param>
    public virtual void Drop(int row, int first, int count, int length)
    {
    }

    /// <summary>The parts of a row's state.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens it holds.</param>
    public abstract StatePart[] Parts(int row, int length);

    /// <inheritdoc/>
    public abstract void Dispose();
}
