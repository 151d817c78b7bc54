using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Transformer.Layers.Memory;

// m memory tokens · C width

/// <summary>The memory tokens with which a text begins, vectors that stand beside its words.</summary>
public sealed class MemoryTokens : nn.Module
{
    private readonly Parameter weight;    // [m, C]

    /// <param name="tokens">m.</param>
    /// <param name="width">C.</param>
    public MemoryTokens(int tokens, int width) : base(nameof(MemoryTokens))
    {
        weight = new Parameter(empty(tokens, width));
        RegisterComponents();
    }

    /// <summary>[m, C]</summary>
    public Parameter Weight => weight;
}
