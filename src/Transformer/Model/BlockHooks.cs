using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>
/// Hooks around the blocks of a pass. Training on several ranks reduces the gradients of a block while the blocks below it are still
/// computed backward, and gathers the parameters of a block only for as long as it needs them.
/// </summary>
internal abstract class BlockHooks
{
    /// <summary>Called before a block.</summary>
    /// <param name="layer">Which block, 0 being the one after the embedding.</param>
    /// <param name="stream">The block's input.</param>
    /// <returns>The same numbers.</returns>
    public abstract Tensor BeforeBlock(int layer, Tensor stream);

    /// <summary>Gathers the parameters of a block until the result is disposed; null where they are always in memory.</summary>
    public virtual IDisposable? Parameters(int layer) => null;
}
