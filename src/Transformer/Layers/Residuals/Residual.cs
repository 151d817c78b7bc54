using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>
/// How one sub-layer of a block joins the residual stream. A kind whose stream is not a plain [B, T, C] opens it before the first block and
/// closes it after the last. Norms are modules of the block, by their names in checkpoints; a residual only applies them.
/// </summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class Residual(string name) : nn.Module(name)
{
    /// <summary>The residual of a sub-layer.</summary>
    /// <param name="config">The model that the sub-layer is part of.</param>
    /// <param name="sublayer">Which of its sub-layers.</param>
    /// <param name="normBefore">The norm before its function, where the kind has one there.</param>
    /// <param name="normAfter">The norm behind it, where the kind has one there.</param>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static Residual FromConfig(
        ModelConfig config, SublayerSpec sublayer, nn.Module<Tensor, Tensor>? normBefore, nn.Module<Tensor, Tensor>? normAfter) =>
        sublayer.IsGated ? new TanhGatedResidual(normBefore!) : config.Residual switch
        {
            PreNormResidualConfig => new PreNormResidual(normBefore!),
            PostNormResidualConfig => new PostNormResidual(normAfter!),
            SandwichResidualConfig => new SandwichResidual(normBefore!, normAfter!),
            DeepNormResidualConfig => new DeepNormResidual(normAfter!, config.Layers.Blocks),
            ReZeroResidualConfig => new ReZeroResidual(),
            HyperConnectionsResidualConfig hyper => new HyperConnections(normBefore!, hyper.Streams, sublayer.Index),
            var other => throw Kind.Unknown("model.residual", other, "layer"),
        };

    /// <summary>The stream as the first block takes it.</summary>
    /// <param name="x">[B, T, C]</param>
    public virtual Tensor Open(Tensor x) => x;

    /// <summary>The stream after a sub-layer.</summary>
    /// <param name="stream">What <see cref="Open"/> or the sub-layer before gave.</param>
    /// <param name="sublayer">The mixer or the MLP: [B, T, C] to [B, T, C].</param>
    public abstract Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer);

    /// <summary>What the last block leaves for the head.</summary>
    /// <returns>[B, T, C]</returns>
    public virtual Tensor Close(Tensor stream) => stream;
}
