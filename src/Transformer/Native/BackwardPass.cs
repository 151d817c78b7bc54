using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>What backward passes written here hand to libtorch.</summary>
internal static class BackwardPass
{
    // libtorch takes over what a backward pass returns only after the return, so the handles are let go when the next one on this thread
    // returns.
    [ThreadStatic]
    private static List<Tensor>? last;

    /// <summary>Takes the gradients out of the scope of a backward pass that now ends, to be returned.</summary>
    public static List<Tensor> Return(DisposeScope scope, List<Tensor> gradients)
    {
        foreach (var returned in last ?? []) returned?.Dispose();
        foreach (var gradient in gradients) if (gradient is not null) scope.MoveToOuter(gradient);
        return last = gradients;
    }
}
