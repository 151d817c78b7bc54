using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>What a design takes, as its configuration tells it.</summary>
/// <param name="Parameters">All trainable numbers.</param>
/// <param name="FlopsPerToken">The operations of training on a token.</param>
/// <param name="Rows">The rows of a batch as the model reads it, where those about one picture may be one.</param>
/// <param name="Columns">The tokens of a row.</param>
/// <param name="Labelled">The share of them that are predicted.</param>
public sealed record DesignCost(long Parameters, double FlopsPerToken, int Rows, int Columns, double Labelled)
{
    private const int SampledRows = 8;    // rows of most tasks are alike
    private const long RuntimeBytes = 400L << 20;    // of .NET, libtorch and small data

    /// <summary>The tokens that a run is trained on.</summary>
    public double TokensOf(RunConfig config) =>
        (double)config.Training.Steps * Rows * config.Training.GradientAccumulation * Columns;

    /// <summary>About how much memory a run of a process of its own takes.</summary>
    public long BytesOf(RunConfig config) => RuntimeBytes + TrainingMemory.Of(
        new ModelSize(config.Model), config.Training, Rows, Columns, Labelled).Bytes;

    /// <summary>The cost of a run whose vocabulary is known.</summary>
    /// <param name="config">The run.</param>
    /// <param name="data">Its data, which tell how many tokens of a row are predicted.</param>
    public static DesignCost Of(RunConfig config, Dataset data)
    {
        var training = config.Training;
        var batch = First(Math.Min(SampledRows, training.BatchSize));
        var rows = training.BatchSize;
        if (batch.Documents is not null)    // how many rows become one, only the whole batch tells
        {
            batch = First(training.BatchSize);
            rows = batch.Rows;
        }
        var (size, labelled) = (new ModelSize(config.Model), (double)batch.Predictions / batch.Inputs.Length);
        return new(size.Parameters, size.FlopsPerToken(batch.Columns, labelled), rows, batch.Columns, labelled);

        Batch First(int batchSize)
        {
            using var batches = data.Train(config with { Training = training with { BatchSize = batchSize } });
            return batches.At(0);
        }
    }
}
