using System.IO.Hashing;
using System.Text;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Layers;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// All that the steps of a run change: the weights, what is remembered of them, and how far the run has come. A checkpoint holds it.
/// </summary>
internal sealed class TrainingState : IDisposable
{
    /// <summary>The state that a run begins with, or the one that its checkpoint holds.</summary>
    /// <exception cref="InputException">A rule fits no parameter, or the checkpoint is not of this run.</exception>
    public TrainingState(RunSetup met, ICollective ranks, Device? device)
    {
        var training = met.Run.Config.Training;
        manual_seed(training.Seed);
        Model = Build(met, ranks, device);
        Space = new ParameterSpace(Model, training.Parameters, ranks, training.Distributed.Strategy);
        Optimizer = Optimizer.FromConfig(training.Optimizer, Space);
        Average = training.EmaDecay is { } decay ? new WeightAverage(Space, decay) : null;
        // Ranks drop different numbers. Where as many go on as have saved a checkpoint, each goes on with its own.
        if (Space.Ranks.Ranks > 1 || met.Checkpoint is not null)
            manual_seed(DropoutSeed(training.Seed, met.Progress.Step, Space.Ranks.Rank));
        if (met.Checkpoint is not null) TrainingCheckpoint.Load(met.Checkpoint, this);
        Progress = met.Progress;
        Scaler = GradientScaler.For(training.Precision, Progress.GradientScale, Progress.GoodSteps);
    }

    /// <summary>The model, in training mode or not.</summary>
    public TransformerModel Model { get; }

    /// <summary>Its trainable parameters.</summary>
    public ParameterSpace Space { get; }

    /// <summary>The rule of the steps, with what it remembers.</summary>
    public Optimizer Optimizer { get; }

    /// <summary>The running mean of the weights, where one is kept.</summary>
    public WeightAverage? Average { get; }

    /// <summary>The scale of fp16's gradients; null for other types.</summary>
    public GradientScaler? Scaler { get; }

    /// <summary>How far the run has come.</summary>
    public TrainingProgress Progress { get; set; }

    /// <summary>Measures the model as it is saved, with the averaged weights where there are such. All ranks do so together.</summary>
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

    // Ranks that share the model draw it whole, as one process does, and keep their share, unless their shares are loaded next.
    private static TransformerModel Build(RunSetup met, ICollective ranks, Device? device)
    {
        var (config, group) = (met.Run.Config, RunSetup.SharesModel(met.Run.Config, ranks) ? new TensorParallelGroup(ranks) : null);
        var model = ranks.RunOnAll(() => group is not null && met.Checkpoint is not null
            ? TensorParallelModel.Empty(config.Model, group, device)
            : new TransformerModel(config.Model, device));
        ranks.RunOnAll(() => model.Precision = config.Training.Precision);
        if (group is null || met.Checkpoint is not null) return model;
        using (model) return TensorParallelModel.ShareOf(model, group);
    }

    /// <summary>
    /// What a rank's dropout begins with where it does not go on: a hash, so that ranks do not drop alike and masks of earlier steps do not
    /// come again. libtorch's generator makes use of 32 bits.
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
