using Transformer.Configuration;
using Transformer.Model;

namespace Transformer.Training;

// N ranks

/// <summary>What a rank keeps of parameters, gradients and Adam's moments from step to step (Rajbhandari et al. 2020, section 5); activations are beside it.</summary>
public static class RankMemory
{
    /// <param name="size">The model.</param>
    /// <param name="strategy">What is sharded.</param>
    /// <param name="ranks">N.</param>
    /// <param name="isMixed">As for <see cref="BytesPerParameter"/>.</param>
    /// <returns>Bytes on each rank.</returns>
    /// <exception cref="InputException">So many ranks cannot split this model among them.</exception>
    public static long Bytes(ModelSize size, DistributedStrategy strategy, int ranks, bool isMixed) => strategy == DistributedStrategy.TensorParallel
        ? (long)(BytesPerParameter(DistributedStrategy.DataParallel, 1, isMixed) * size.ShareOf(ranks).Parameters)
        : (long)(BytesPerParameter(strategy, ranks, isMixed) * size.Parameters);

    /// <param name="strategy">What is sharded; under tensor parallelism that depends on the model.</param>
    /// <param name="ranks">N.</param>
    /// <param name="isMixed">Whether parameters and gradients have 16 bits beside parameters of 32 that the optimizer keeps; else all have 32.</param>
    /// <returns>Bytes a parameter of the model.</returns>
    public static double BytesPerParameter(DistributedStrategy strategy, int ranks, bool isMixed)
    {
        var (parameters, gradients, optimizer) = isMixed ? (2.0, 2.0, 12.0) : (4.0, 4.0, 8.0);
        return strategy switch
        {
            DistributedStrategy.DataParallel => parameters + gradients + optimizer,
            DistributedStrategy.Zero1 => parameters + gradients + optimizer / ranks,
            DistributedStrategy.Zero2 => parameters + (gradients + optimizer) / ranks,
            DistributedStrategy.Zero3 => (parameters + gradients + optimizer) / ranks,
            _ => throw new ArgumentOutOfRangeException(nameof(strategy), strategy, "no such strategy"),
        };
    }
}
