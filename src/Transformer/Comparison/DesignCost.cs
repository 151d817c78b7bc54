using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>What a design takes, as its configuration tells it.</summary>
/// <param name="Parameters">All trainable numbers.</param>
/// <param name="FlopsPerToken">The operations of training on a token.</param>
/// <param name="Columns">The tokens of a row.</param>
/// <param name="Labelled">The share of them that are predicted.</param>
public sealed record DesignCost(long Parameters, double FlopsPerToken, int Columns, double Labelled)
{
    private const int SampledRows = 8;    // rows of most tasks are alike
    private const long RuntimeBytes = 400L << 20;    // of .NET, libtorch and small data

    /// <summary>The tokens that a run is trained on.</summary>
    public double TokensOf(RunConfig config) =>
        (double)config.Training.Steps * config.Training.BatchSize * config.Training.GradientAccumulation * Columns;

    /// <summary>About how much memory a run of a process of its own takes.</summary>
    public long BytesOf(RunConfig config) => RuntimeBytes + TrainingMemory.Of(
        new ModelSize(config.Model), config.Training, config.Training.BatchSize, Columns, Labelled).Bytes;

    /// <summary>The cost of a run whose vocabulary is known.</summary>
    /// <param name="config">The run.</param>
    /// <param name="data">Its data, which tell how many tokens of a row are predicted.</param>
    public static DesignCost Of(RunConfig config, Dataset data)
    {
        var few = config.Training with { BatchSize = Math.Min(SampledRows, config.Training.BatchSize) };
        using var batches = data.Train(config with { Training = few });
        var rows = batches.At(0);
        var (size, labelled) = (new ModelSize(config.Model), (double)rows.Predictions / rows.Inputs.Length);
        return new(size.Parameters, size.FlopsPerToken(rows.Columns, labelled), rows.Columns, labelled);
    }
}
