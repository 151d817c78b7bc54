using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>A run of parameters whose gradients are ready together: those of a block, or those before or after the blocks.</summary>
/// <param name="Block">Which block; null where it is none.</param>
/// <param name="Offset">Where it begins in the space.</param>
/// <param name="Length">How many numbers it takes there; the ranks divide it.</param>
/// <param name="Parameters">Its parameters.</param>
internal sealed record Bucket(BlockSpec? Block, long Offset, long Length, IReadOnlyList<ParameterView> Parameters)
{
    /// <summary>The bucket in a buffer of the whole space.</summary>
    public Tensor Of(Tensor space) => space.narrow(0, Offset, Length);

    /// <summary>A parameter in a buffer of this bucket alone.</summary>
    public Tensor View(Tensor bucket, ParameterView parameter) =>
        bucket.narrow(0, parameter.Offset - Offset, parameter.Count).view(parameter.Shape);

    /// <summary>The slice of a rank in a buffer of this bucket alone.</summary>
    public Tensor Slice(Tensor bucket, int rank, int ranks) => bucket.narrow(0, rank * (Length / ranks), Length / ranks);
}
