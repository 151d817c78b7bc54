using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Formats;

namespace Transformer.Tests.Formats;

/// <summary>Equality of tensors in type, shape and every bit.</summary>
public static class TensorAssert
{
    public static void Same(torch.Tensor expected, StoredTensor actual, string name = "tensor")
    {
        using var copy = actual.ToTensor();
        Same(expected, copy, name);
    }

    public static void Same(torch.Tensor expected, torch.Tensor actual, string name = "tensor")
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(expected.detach().contiguous().bytes.SequenceEqual(actual.detach().contiguous().bytes), $"{name}: other values");
    }
}
