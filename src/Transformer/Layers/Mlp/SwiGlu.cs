using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

/// <summary>silu(gate) * up as one operator with its own gradient, which reads and writes each number once.</summary>
internal sealed unsafe class SwiGlu : Operator<SwiGlu>
{
    /// <param name="gate">[..., F]</param>
    /// <param name="up">[..., F]</param>
    /// <returns>[..., F]</returns>
    public static Tensor Apply(Tensor gate, Tensor up) => apply(gate.contiguous(), up.contiguous());

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
    {
        var (gate, up) = ((Tensor)inputs[0], (Tensor)inputs[1]);
        var hidden = empty_like(gate);
        var work = Describe(gate, up);
        work.Hidden = Kernels.Pointer(hidden);
        SwiGluKernel.Forward(&work);
        context.save_for_backward([gate, up]);
        return hidden;
    }

    /// <inheritdoc/>
    protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
    {
        var saved = context.get_saved_variables();
        var (gate, up) = (saved[0], saved[1]);
        using var dhidden = gradient.contiguous();
        var (dgate, dup) = (empty_like(gate), empty_like(up));
        var work = Describe(gate, up);
        work.HiddenGradient = Kernels.Pointer(dhidden);
        work.GateGradient = Kernels.Pointer(dgate);
        work.UpGradient = Kernels.Pointer(dup);
        SwiGluKernel.Backward(&work);
        return [dgate, dup];
    }

    private static SwiGluKernel.Work Describe(Tensor gate, Tensor up) => new()
    {
        Count = gate.numel(),
        Gate = Kernels.Pointer(gate),
        Up = Kernels.Pointer(up),
    };
}
