using System.Runtime.ExceptionServices;

namespace Transformer.Native;

/// <summary>
/// Asks the blocks of one training pass to keep only what they were given and to compute themselves again in the backward pass (activation
/// checkpointing, Chen et al. 2016, arXiv:1604.06174). Nothing can be thrown through libtorch's backward pass, so what goes wrong in it is
/// kept here.
/// </summary>
public sealed class Recomputation
{
    private ExceptionDispatchInfo? failure;

    /// <summary>
    /// To be called after the backward pass: throws what went wrong when a block was computed again. The gradients are of no use then.
    /// </summary>
    public void ThrowIfFailed() => failure?.Throw();

    internal void Fail(Exception exception) => failure ??= ExceptionDispatchInfo.Capture(exception);
}
