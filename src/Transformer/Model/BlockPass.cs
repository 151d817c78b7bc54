using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>
/// What stands around the blocks of a pass, for whoever must act where one begins and another ends: training on several ranks sends gradients off while the
/// blocks below are still at work, and brings parameters there only for as long as their block needs them.
/// </summary>
internal abstract class BlockPass
{
    /// <summary>Runs one block.</summary>
    /// <param name="layer">Which, 0 being the one after the embedding.</param>
    /// <param name="block">The block.</param>
    /// <param name="stream">What it is given.</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <param name="state">The layer's part of the generation's state, or null.</param>
    /// <returns>What the block makes of the stream.</returns>
    public abstract Tensor Run(int layer, Block block, Tensor stream, ForwardContext context, LayerState? state);
}
