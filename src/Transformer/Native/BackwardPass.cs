using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>Returns gradients from our backward passes to libtorch.</summary>
internal static class BackwardPass
{
    // libtorch takes ownership only after a backward pass has returned, so the handles are freed when the next one on this thread returns.
    [ThreadStatic]
    private static List<Tensor>? last;

    /// <summary>Moves the gradients out of the scope of a backward pass, to be returned.</summary>
    public static List<Tensor> Return(DisposeScope scope, List<Tensor> gradients)
    {
        foreach (var returned in last ?? []) returned?.Dispose();
        foreach (var gradient in gradients) if (gradient is not null) scope.MoveToOuter(gradient);
        return last = gradients;
    }
}
