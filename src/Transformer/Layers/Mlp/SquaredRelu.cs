using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

/// <summary>relu(x)^2 (So et al. 2021) as one operator with its own gradient, which reads and writes each number once.</summary>
internal sealed unsafe class SquaredRelu : Operator<SquaredRelu>
{
    /// <summary>The activation: the fused operator on the CPU, libtorch's own ones elsewhere.</summary>
    /// <param name="x">[...]</param>
    /// <returns>[...]</returns>
    public static Tensor Apply(Tensor x) => Kernels.Supports(x) ? apply(x.contiguous()) : nn.functional.relu(x).square();

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
    {
        var x = (Tensor)inputs[0];
        var y = empty_like(x);
        var work = new SquaredReluKernel.Work { Count = x.numel(), X = Kernels.Pointer(x), Y = Kernels.Pointer(y) };
        SquaredReluKernel.Forward(&work);
        context.save_for_backward([x]);
        return y;
    }

    /// <inheritdoc/>
    protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
    {
        var x = context.get_saved_variables()[0];
        using var dy = gradient.contiguous();
        var dx = empty_like(x);
        var work = new SquaredReluKernel.Work
        {
            Count = x.numel(),
            X = Kernels.Pointer(x),
            YGradient = Kernels.Pointer(dy),
            XGradient = Kernels.Pointer(dx),
        };
        SquaredReluKernel.Backward(&work);
        return [dx];
    }
}
