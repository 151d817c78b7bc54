using static TorchSharp.torch;

namespace Transformer.Layers;

// B rows

/// <summary>What one layer carries from one step of generation to the next. Changed in place, so it is for inference only.</summary>
public abstract class LayerState : IDisposable
{
    private readonly Tensor[] tensors;

    /// <param name="tensors">All that it holds, each [B, ...]; they end with it.</param>
    private protected LayerState(params IEnumerable<Tensor?> tensors) =>
        this.tensors = [.. tensors.OfType<Tensor>().Select(tensor => tensor.DetachFromDisposeScope())];

    /// <summary>The bytes that the state holds, however much of them is in use.</summary>
    public long Bytes => tensors.Sum(tensor => tensor.numel() * tensor.element_size());

    /// <summary>Whether the last tokens of a row can be dropped by changing its length only.</summary>
    public abstract bool CanTruncate { get; }

    /// <summary>Makes a row that of an empty text. What is not in use is zero: padding that sees it does not depend on the texts
    /// before.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens it holds.</param>
    internal void Clear(int row, int length)
    {
        foreach (var used in Used(row, length)) used.zero_();
    }

    /// <summary>Gives a row what another one holds.</summary>
    /// <param name="from">The row to be copied.</param>
    /// <param name="to">The row that becomes equal to it.</param>
    /// <param name="length">How many tokens the longer of the two holds.</param>
    internal void Copy(int from, int to, int length)
    {
        foreach (var tensor in tensors) Used(tensor, to, length).copy_(Used(tensor, from, length));
    }

    /// <summary>Drops a row's last tokens, where <see cref="CanTruncate"/> is true.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens stay.</param>
    /// <param name="held">How many it holds.</param>
    internal virtual void Truncate(int row, int length, int held) =>
        throw new NotSupportedException("this state cannot drop single tokens");

    /// <summary>What a row's tokens have left in each tensor: views.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens it holds.</param>
    internal IEnumerable<Tensor> Used(int row, int length) => tensors.Select(tensor => Used(tensor, row, length));

    /// <summary>The state of some neighbouring rows: the same memory, under row numbers from 0 on.</summary>
    internal abstract LayerState Narrow(int first, int count);

    /// <summary>The part of a tensor that a row of so many tokens uses: a view.</summary>
    private protected virtual Tensor Used(Tensor tensor, int row, int length) => tensor[row];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in tensors) tensor.Dispose();
        GC.SuppressFinalize(this);
    }
}
