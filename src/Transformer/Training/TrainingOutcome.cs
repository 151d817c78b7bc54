using System.Text.Json.Serialization;

namespace Transformer.Training;

/// <summary>The outcome of a finished run.</summary>
/// <param name="Run">Its folder.</param>
/// <param name="Steps">The steps done.</param>
/// <param name="Tokens">The tokens trained on.</param>
/// <param name="Seconds">Seconds of work, interruptions left out.</param>
/// <param name="TrainLoss">The mean training loss of the last <see cref="TrainLossSteps"/> steps, in nats per token; null where all of
/// them overflowed.</param>
/// <param name="ValidationLoss">The loss over the whole validation text after the last step.</param>
/// <param name="BestValidationLoss">The lowest validation loss of the run's evaluations, quick estimates included.</param>
/// <param name="ValidationAccuracy">The share of all validation tokens that had the greatest of all logits after the last step.</param>
/// <param name="CoreSecondsPerToken">The processor time of the steps per token: the mean of <see cref="Metrics.CoreSecondsPerToken"/>; null
/// where no step has it.</param>
/// <param name="JoulesPerToken">The energy of the steps per token: the mean of <see cref="Metrics.JoulesPerToken"/>; null where no step has
/// it.</param>
/// <param name="BitsPerByte">The validation loss in bits per byte of the text, which can be compared between tokenizers; null for
/// tasks.</param>
/// <param name="PeakBytes">The most memory that the process has had resident, rank 0's where there are several; null where the system does
/// not tell.</param>
public sealed record TrainingOutcome(
    string Run, int Steps, long Tokens, double Seconds, double? TrainLoss, double ValidationLoss, double BestValidationLoss,
    double ValidationAccuracy, double? CoreSecondsPerToken = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? JoulesPerToken = null,
    double? BitsPerByte = null, long? PeakBytes = null)
{
    /// <summary>The number of steps over which the training loss is averaged; all of them where the run has fewer.</summary>
    public const int TrainLossSteps = 100;
}
