using Transformer.Configuration;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>
/// The share of a model that a rank has under tensor parallelism (Shoeybi et al. 2019,
/// arXiv:1909.08053), as a model that all ranks must call.
/// </summary>
public static class TensorParallelModel
{
    /// <summary>A share whose parameters are loaded next.</summary>
    /// <param name="config">The architecture of the whole model.</param>
    /// <param name="group">The ranks.</param>
    /// <param name="device">The share's device; the CPU where null.</param>
    /// <exception cref="InputException">So many ranks cannot split this model.</exception>
    public static TransformerModel Empty(ModelConfig config, TensorParallelGroup group, Device? device = null)
    {
        TensorParallelShare.Check(config, group.Count);
        return new TransformerModel(config, device, draw: false, group);
    }

    /// <summary>This rank's share of a model that every rank has initialised whole, with the numbers of rank 0.</summary>
    /// <param name="whole">The model; it stays the caller's.</param>
    /// <param name="group">The ranks, which all call this.</param>
    /// <exception cref="InputException">So many ranks cannot split this model.</exception>
    public static TransformerModel ShareOf(TransformerModel whole, TensorParallelGroup group)
    {
        using var _ = no_grad();
        using var random = get_rng_state();
        var share = Empty(whole.Config, group, whole.Device);
        set_rng_state(random);    // later random numbers are those of a single process
        share.Precision = whole.Precision;
        foreach (var ((name, value), (_, own)) in whole.Weights.Zip(share.Weights))
        {
            using var scope = NewDisposeScope();
            group.Collective.Broadcast(value, root: 0);
            var cut = TensorParallelSplit.Cut(share.ParameterSpecs[name], value, group);
            own.copy_(cut);
        }
        return share;
    }
}
