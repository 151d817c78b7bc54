using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>A tensor of libtorch's as files hold it, copied from its device, and its strides resolved, only while it is visited.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Tensor">The tensor, which stays the caller's.</param>
internal sealed record TorchTensor(string Name, Tensor Tensor) : StoredTensor(Name, Tensor.dtype.ToElementType(), Tensor.shape)
{
    /// <inheritdoc/>
    public override void Visit(Action<ReadOnlySpan<byte>> visitor)
    {
        using var scope = NewDisposeScope();
        TensorBytes.Visit(Tensor.detach().cpu().contiguous(), chunk => visitor(chunk));
    }
}
