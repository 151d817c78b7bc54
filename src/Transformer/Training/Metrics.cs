namespace Transformer.Training;

/// <summary>A line of metrics.jsonl, one per step.</summary>
public sealed record Metrics
{
    /// <summary>The number of steps done.</summary>
    public required int Step { get; init; }

    /// <summary>The number of tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>
    /// The mean loss of the step's batches, in nats per token; absent if it overflowed in fp16 and the step was skipped.
    /// </summary>
    public double? TrainLoss { get; init; }

    /// <summary>The loss on the validation text, where it was measured at this step.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>The share of the validation tokens that had the greatest of all logits, where it was measured at this step.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>
    /// The share of the validation rows of each sort that are right in all of their answers, where it was measured at this step and rows
    /// are of several sorts.
    /// </summary>
    public IReadOnlyDictionary<string, double>? RowAccuracies { get; init; }

    /// <summary>
    /// For each block the mean span of each head in tokens (in hourglasses in groups), on the first validation batch, if the loss was
    /// measured at this step and windows are learned; empty for a block whose window is not.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<float>>? Spans { get; init; }

    /// <summary>
    /// For each hourglass with boundaries the share of tokens that end a group, on the first validation batch, if the loss was measured at
    /// this step.
    /// </summary>
    public IReadOnlyList<double>? BoundaryRates { get; init; }

    /// <summary>The learning rate of the step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The gradient norm before clipping; absent if it overflowed in fp16 and the step was skipped.</summary>
    public double? GradientNorm { get; init; }

    /// <summary>
    /// The gradient scale of fp16 after the step, halved if it was skipped. Absent under other types.
    /// </summary>
    public double? GradientScale { get; init; }

    /// <summary>Tokens per second of this step, without evaluation and checkpoints.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>
    /// The step's FLOP/s relative to the machine's matrix rate. That rate is measured during the first ten seconds, so the first lines may
    /// be slightly high.
    /// </summary>
    public required double Utilization { get; init; }

    /// <summary>Seconds since the run began, interruptions left out.</summary>
    public required double Seconds { get; init; }

    /// <summary>
    /// The processor time of the step, summed over all cores and ranks, per token; absent in logs of earlier versions.
    /// </summary>
    public double? CoreSecondsPerToken { get; init; }

    /// <summary>
    /// The energy that the processor took during the step, per token, whatever else ran on it; absent where the machine does not count it
    /// or shows it to root alone, and with several ranks.
    /// </summary>
    public double? JoulesPerToken { get; init; }
}
