using TorchSharp.Modules;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers;

// I inputs · O outputs

/// <summary>
/// x W^T + b, computed in the type of x: W and b are fp32 and are cast to that type for the product, explicitly where PyTorch's autocast
/// does it implicitly. Their gradients are cast back to fp32.
/// </summary>
public sealed class Linear : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;    // [O, I]
    private readonly Parameter? bias;     // [O]

    /// <param name="inputs">I.</param>
    /// <param name="outputs">O.</param>
    /// <param name="hasBias">Whether there is a b.</param>
    public Linear(long inputs, long outputs, bool hasBias) : base(nameof(Linear))
    {
        weight = new Parameter(nn.init.kaiming_uniform_(empty(outputs, inputs), a: Math.Sqrt(5)));
        if (hasBias) bias = new Parameter(nn.init.uniform_(empty(outputs), -1 / Math.Sqrt(inputs), 1 / Math.Sqrt(inputs)));
        RegisterComponents();
    }

    /// <summary>Whether b is added here: false where the product is one of several ranks' summands and another rank adds b.</summary>
    internal bool AddsBias { get; set; } = true;

    /// <summary>[O, I]</summary>
    public Parameter Weight => weight;

    /// <param name="x">[..., I]</param>
    /// <returns>[..., O], in the type of x.</returns>
    public override Tensor forward(Tensor x) => Apply(x, weight, AddsBias ? bias : null);

    /// <summary>The product with a weight that belongs to another layer, as a tied head's does.</summary>
    /// <param name="x">[..., I]</param>
    /// <param name="weight">[O, I]</param>
    /// <param name="bias">[O]; none where null.</param>
    /// <returns>[..., O], in the type of x.</returns>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias = null) =>
        nn.functional.linear(x.ForMatmul(), weight.to(x.dtype).ForMatmul(), bias?.to(x.dtype).ForMatmul()).to(x.dtype);
}
