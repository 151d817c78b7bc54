using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Layers;

// B batch · T tokens · S cached tokens · H heads

/// <summary>What the layers of one forward pass share. One a pass; no layer keeps it.</summary>
public sealed class ForwardContext
{
    /// <summary>
    /// Which keys each query sees, true is visible: [B or 1, 1, T, S]. Null where query t of T sees keys 0..t of T (a pass without a cache,
    /// or the first into an empty one), and where every query sees every key.
    /// </summary>
    public Tensor? Mask { get; init; }

    /// <summary>Whether query t sees keys 0..t only, which the fused kernel knows without a mask.</summary>
    public bool Causal { get; init; } = true;

    /// <summary>The rotation of queries and keys at the positions of this pass; null for models without rotary positions.</summary>
    public Rotation? Rotation { get; init; }

    /// <summary>For each row of the batch the number of tokens in the cache before this pass; empty where there is no cache.</summary>
    public IReadOnlyList<int> CachedLengths { get; init; } = [];
}
