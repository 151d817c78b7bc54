using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>
/// What stands around the blocks of a pass, for whoever must act where one begins and another ends: training on several ranks sends gradients off while the
/// blocks below are still at work, and brings parameters there only for as long as their block needs them.
/// </summary>
internal abstract class BlockHooks
{
    /// <summary>Called before a block, 0 being the one after the embedding.</summary>
    /// <param name="layer">Which block.</param>
    /// <param name="stream">What it is to be given.</param>
    /// <returns>The same numbers.</returns>
    public abstract Tensor BeforeBlock(int layer, Tensor stream);

    /// <summary>Brings the parameters of a block, until the result is disposed; null where they are always there.</summary>
    public virtual IDisposable? Parameters(int layer) => null;
}
