using System.Runtime.ExceptionServices;

namespace Transformer.Native;

/// <summary>
/// Activation checkpointing of one training pass (Chen et al. 2016, arXiv:1604.06174): blocks keep only their input and are computed again
/// in the backward pass. No exception may cross libtorch's backward pass, so it is kept here. Dispose it after that pass.
/// </summary>
public sealed class Recomputation : IDisposable
{
    private readonly List<IDisposable> kept = [];
    private ExceptionDispatchInfo? failure;

    /// <summary>
    /// Call after the backward pass: throws if recomputing a block failed. The gradients are invalid then.
    /// </summary>
    public void ThrowIfFailed() => failure?.Throw();

    /// <summary>Keeps what blocks read beside their input until they have been computed again.</summary>
    internal void Keep(IDisposable read) => kept.Add(read);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var read in kept) read.Dispose();
        kept.Clear();
    }

    internal void Fail(Exception exception) => failure ??= ExceptionDispatchInfo.Capture(exception);
}
