using Transformer.Configuration;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Training;

// N ranks

/// <summary>
/// What a rank keeps of parameters, gradients and moments from step to step (Rajbhandari et al. 2020, section 5); activations are beside
/// it.
/// </summary>
public static class RankMemory
{
    /// <summary>Of a run's model, with what its optimizer remembers and the average of its weights, where one is kept.</summary>
    /// <param name="size">The model.</param>
    /// <param name="training">Optimizer and average.</param>
    /// <param name="strategy">What is sharded.</param>
    /// <param name="ranks">N.</param>
    /// <param name="isMixed">As for <see cref="BytesPerParameter"/>.</param>
    /// <returns>Bytes on each rank.</returns>
    /// <exception cref="InputException">So many ranks cannot split this model among them.</exception>
    public static long Bytes(ModelSize size, TrainingConfig training, DistributedStrategy strategy, int ranks, bool isMixed)
    {
        if (strategy == DistributedStrategy.TensorParallel)
            return Bytes(size.ShareOf(ranks), training, DistributedStrategy.DataParallel, 1, isMixed);
        var average = training.EmaDecay is null ? 0 : size.ParameterBytes;    // as whole as the parameters are
        return (long)(size.Parameters * BytesPerParameter(
            strategy, ranks, isMixed, (double)TrainingMemory.MomentBytes(size, training.Optimizer) / size.Parameters))
            + (strategy == DistributedStrategy.Zero3 ? average / ranks : average);
    }

    /// <param name="strategy">What is sharded; not tensor parallelism, where it depends on the model: ask <see cref="Bytes"/>.</param>
    /// <param name="ranks">N.</param>
    /// <param name="isMixed">Whether parameters and gradients have 16 bits beside parameters of 32 that the optimizer keeps; else all have
    /// 32.</param>
    /// <param name="moments">The bytes that the optimizer remembers of a parameter: Adam's two numbers.</param>
    /// <returns>Bytes a parameter of the model.</returns>
    public static double BytesPerParameter(DistributedStrategy strategy, int ranks, bool isMixed, double moments = 8)
    {
        var (parameters, gradients, optimizer) = isMixed ? (2.0, 2.0, 4 + moments) : (4.0, 4.0, moments);
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
