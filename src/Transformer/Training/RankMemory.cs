using Transformer.Configuration;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Training;

// N ranks

/// <summary>
/// What a rank keeps of parameters, gradients and moments from step to step (Rajbhandari et al. 2020, section 5), without activations.
/// </summary>
public static class RankMemory
{
    /// <summary>The bytes for a run's model, its optimizer's state and the weight average, if one is kept.</summary>
    /// <param name="size">The model.</param>
    /// <param name="training">Optimizer and average.</param>
    /// <param name="strategy">What is sharded.</param>
    /// <param name="ranks">N.</param>
    /// <returns>Bytes on each rank.</returns>
    /// <exception cref="InputException">This model cannot be split among so many ranks.</exception>
    public static long Bytes(ModelSize size, TrainingConfig training, DistributedStrategy strategy, int ranks)
    {
        if (strategy == DistributedStrategy.TensorParallel)
            return Bytes(size.ShareOf(ranks), training, DistributedStrategy.DataParallel, 1);
        var average = training.EmaDecay is null ? 0 : size.ParameterBytes;    // sharded like the parameters
        return (long)(size.Parameters * BytesPerParameter(
            strategy, ranks, (double)TrainingMemory.MomentBytes(size, training.Optimizer) / size.Parameters))
            + (strategy == DistributedStrategy.Zero3 ? average / ranks : average);
    }

    /// <param name="strategy">What is sharded; not tensor parallelism, which depends on the model: see <see cref="Bytes"/>.</param>
    /// <param name="ranks">N.</param>
    /// <param name="moments">The bytes of optimizer state per parameter: Adam's two numbers.</param>
    /// <returns>Bytes per parameter of the model; parameters and gradients are fp32.</returns>
    public static double BytesPerParameter(DistributedStrategy strategy, int ranks, double moments = 8)
    {
        const double parameters = 4, gradients = 4;
        return strategy switch
        {
            DistributedStrategy.DataParallel => parameters + gradients + moments,
            DistributedStrategy.Zero1 => parameters + gradients + moments / ranks,
            DistributedStrategy.Zero2 => parameters + (gradients + moments) / ranks,
            DistributedStrategy.Zero3 => (parameters + gradients + moments) / ranks,
            _ => throw new ArgumentOutOfRangeException(nameof(strategy), strategy, "no such strategy"),
        };
    }
}
