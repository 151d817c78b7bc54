using System.IO.Hashing;
using System.Text;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Layers;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The state that the steps of a run change: weights, optimizer, average and progress. A checkpoint stores it.
/// </summary>
internal sealed class TrainingState : IDisposable
{
    /// <summary>The initial state of a run, or the one of its checkpoint.</summary>
    /// <exception cref="InputException">A rule matches no parameter, or the checkpoint is not of this run.</exception>
    public TrainingState(RunSetup setup, ICollective ranks, Device? device)
    {
        var training = setup.Run.Config.Training;
        manual_seed(training.Seed);
        Model = Build(setup, ranks, device);
        Space = new ParameterSpace(Model, training.Parameters, ranks, training.Distributed.Strategy);
        Optimizer = Optimizer.FromConfig(training.Optimizer, Space);
        Average = training.EmaDecay is { } decay ? new WeightAverage(Space, decay) : null;
        // Ranks have different dropout masks. If as many ranks resume as saved the checkpoint, each restores its own generator.
        if (Space.Ranks.Ranks > 1 || setup.Checkpoint is not null)
            manual_seed(DropoutSeed(training.Seed, setup.Progress.Step, Space.Ranks.Rank));
        if (setup.Checkpoint is not null) TrainingCheckpoint.Load(setup.Checkpoint, this);
        Progress = setup.Progress;
        Scaler = GradientScaler.For(training.Precision, Progress.GradientScale, Progress.GoodSteps);
    }

    /// <summary>The model, in training mode or not.</summary>
    public TransformerModel Model { get; }

    /// <summary>Its trainable parameters.</summary>
    public ParameterSpace Space { get; }

    /// <summary>The optimizer, with its state.</summary>
    public Optimizer Optimizer { get; }

    /// <summary>The weight average, if one is kept.</summary>
    public WeightAverage? Average { get; }

    /// <summary>The gradient scaler of fp16; null for other types.</summary>
    public GradientScaler? Scaler { get; }

    /// <summary>The progress of the run.</summary>
    public TrainingProgress Progress { get; set; }

    /// <summary>Measures the model as it is saved, with the averaged weights if there are any. All ranks call it together.</summary>
    public T Measured<T>(Func<T> measure)
    {
        Average?.Exchange();
        try
        {
            using var outside = Space.GatherOutsideBlocks();
            return measure();
        }
        finally
        {
            Average?.Exchange();
        }
    }

    // Under tensor parallelism each rank draws the whole model, as one process does, and keeps its part, unless the parts are loaded from a
    // checkpoint.
    private static TransformerModel Build(RunSetup setup, ICollective ranks, Device? device)
    {
        var config = setup.Run.Config;
        var group = config.IsTensorParallel(ranks.Ranks) ? new TensorParallelGroup(ranks) : null;
        var model = ranks.RunOnAll(() => group is not null && setup.Checkpoint is not null
            ? TensorParallelModel.Empty(config.Model, group, device)
            : new TransformerModel(config.Model, device));
        ranks.RunOnAll(() =>
        {
            model.Precision = config.Training.Precision;
            if (setup.Checkpoint is null) InitialWeights.CopyInto(model, config.Training);
        });
        if (group is null || setup.Checkpoint is not null) return model;
        using (model) return TensorParallelModel.ShareOf(model, group);
    }

    /// <summary>
    /// The dropout seed of a rank that does not restore its generator: a hash, so that ranks have different masks and masks of earlier
    /// steps do not repeat. libtorch's generator uses 32 bits.
    /// </summary>
    internal static uint DropoutSeed(long seed, int step, int rank) =>
        XxHash32.HashToUInt32(Encoding.UTF8.GetBytes($"{seed} {step} {rank}"));

    /// <inheritdoc/>
    public void Dispose()
    {
        Average?.Dispose();
        Optimizer.Dispose();
        Space.Dispose();
        Model.Dispose();
    }
}
