using static TorchSharp.torch;

namespace Transformer.Layers;

// B rows

/// <summary>The state of one layer between steps of generation. Changed in place, so that it is for inference only.</summary>
public abstract class LayerState : IDisposable
{
    private readonly Tensor[] tensors;

    /// <param name="tensors">Its tensors, each [B, ...]; this disposes them.</param>
    protected LayerState(params IEnumerable<Tensor?> tensors) =>
        this.tensors = [.. tensors.OfType<Tensor>().Select(tensor => tensor.DetachFromDisposeScope())];

    /// <summary>The size of the state in bytes, used or not.</summary>
    public virtual long Bytes => tensors.Sum(tensor => tensor.numel() * tensor.element_size());

    /// <summary>Whether the last tokens of a row can be dropped by changing its length only.</summary>
    public abstract bool CanTruncate { get; }

    /// <summary>
    /// Resets a row to an empty text. Unused numbers are zero, so that padding that reads them does not depend on earlier texts.
    /// </summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens it holds.</param>
    internal void Clear(int row, int length)
    {
        foreach (var used in Used(row, length)) used.zero_();
    }

    /// <summary>Begins a row's next segment: keeps what is remembered of this one, and nothing else.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many places of its segment it holds.</param>
    internal virtual void Carry(int row, int length) => Clear(row, length);

    /// <summary>Copies a row to another.</summary>
    /// <param name="from">The row to be copied.</param>
    /// <param name="to">The row that becomes equal to it.</param>
    /// <param name="length">How many tokens the longer of the two holds.</param>
    internal void Copy(int from, int to, int length)
    {
        foreach (var (target, source) in Used(to, length).Zip(Used(from, length))) target.copy_(source);
    }

    /// <summary>
    /// Drops a row's last tokens, where <see cref="CanTruncate"/> is true: those of every tensor [B, n, S, ...] become zeros.
    /// </summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens stay.</param>
    /// <param name="held">How many it holds.</param>
    public virtual void Truncate(int row, int length, int held)
    {
        if (!CanTruncate) throw new NotSupportedException("this state cannot drop single tokens");
        foreach (var used in Used(row, held)) used.narrow(1, length, held - length).zero_();
    }

    /// <summary>Drops tokens within a row; those behind them move up. A recurrence keeps what it has read.</summary>
    /// <param name="row">The row.</param>
    /// <param name="first">The first token to be dropped.</param>
    /// <param name="count">How many are dropped.</param>
    /// <param name="held">How many it holds.</param>
    internal virtual void Drop(int row, int first, int count, int held)
    {
    }

    /// <summary>A row's part of each tensor: views.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens it holds.</param>
    internal virtual IEnumerable<Tensor> Used(int row, int length) => tensors.Select(tensor => Used(tensor, row, length));

    /// <summary>The state of some neighbouring rows: the same memory, under row numbers from 0 on.</summary>
    public abstract LayerState Narrow(int first, int count);

    /// <summary>The part of a tensor that a row of so many tokens uses: a view.</summary>
    protected virtual Tensor Used(Tensor tensor, int row, int length) => tensor[row];

    /// <summary>Writes the new tokens of each row behind those that it has; padding is left out.</summary>
    /// <param name="context">How many tokens each row has and gets.</param>
    /// <param name="tensors">Buffers [B, n, S, ...] and what goes into them, [B, n, T, ...].</param>
    /// <returns>How many tokens the longest row then has.</returns>
    private protected static long Append(ForwardContext context, params ReadOnlySpan<(Tensor Buffer, Tensor New)> tensors)
    {
        long used = 0;
        for (var row = 0; row < context.CachedLengths.Count; row++)
        {
            var (start, count) = (context.CachedLengths[row], context.NewTokensOf(row, tensors[0].New.shape[2]));
            foreach (var (buffer, added) in tensors) buffer[row].narrow(1, start, count).copy_(added[row].narrow(1, 0, count));
            used = Math.Max(used, start + count);
        }
        return used;
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        foreach (var tensor in tensors) tensor.Dispose();
        GC.SuppressFinalize(this);
    }
}
