namespace Transformer.Training;

/// <summary>A line of metrics.jsonl: one a step.</summary>
public sealed record Metrics
{
    /// <summary>The number of steps done.</summary>
    public required int Step { get; init; }

    /// <summary>The number of tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>
    /// The mean loss of the step's batches, in nats a token; absent where it overflowed in fp16, so that the step was skipped.
    /// </summary>
    public double? TrainLoss { get; init; }

    /// <summary>The loss on the validation text, where it was measured at this step.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>The share of the validation tokens that had the greatest of all logits, where it was measured at this step.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>
    /// For each block the mean span of each head in tokens, on the first validation batch, where the loss was measured at this step and
    /// windows are learned; none for a block whose window is not.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<float>>? Spans { get; init; }

    /// <summary>The learning rate of the step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The length of the gradient before clipping; absent where it overflowed in fp16, so that the step was skipped.</summary>
    public double? GradientNorm { get; init; }

    /// <summary>
    /// The scale of fp16's gradients after the step: half of that before it where it was skipped. Absent under other types.
    /// </summary>
    public double? GradientScale { get; init; }

    /// <summary>Tokens a second of this step; evaluation and checkpoints are not counted.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>
    /// The share of the machine's matrix rate that the step reached. That rate is measured along the way, one product a second for the
    /// first ten, so the first lines may be a little high.
    /// </summary>
    public required double Utilization { get; init; }

    /// <summary>Seconds since the run began, interruptions left out.</summary>
    public required double Seconds { get; init; }
}
