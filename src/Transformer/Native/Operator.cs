using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// An operator with its own gradient. TorchSharp leaves every handle of a backward pass to the scope around that pass, and a handle keeps
/// its memory: inputs, saved tensors and results of all layers would accumulate until the step is over. Here each is freed as soon as it is
/// no longer needed.
/// </summary>
internal abstract class Operator<T> : autograd.SingleTensorFunction<T> where T : Operator<T>, new()
{
    /// <inheritdoc/>
    public sealed override string Name => typeof(T).Name;

    /// <inheritdoc/>
    public sealed override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var given = gradient;
        return BackwardPass.Return(scope, Gradients(context, given));
    }

    /// <summary>The gradient of each input of the forward pass, in their order; null where it has none.</summary>
    /// <param name="context">What the forward pass saved.</param>
    /// <param name="gradient">The gradient of its result.</param>
    protected abstract List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient);
}
