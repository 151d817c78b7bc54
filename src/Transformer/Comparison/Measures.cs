using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>How measures are read and shown.</summary>
internal static class Measures
{
    /// <summary>The number of a run; null where it has none.</summary>
    public static double? Of(this Measure measure, TrainingOutcome outcome) => measure switch
    {
        Measure.Loss => outcome.ValidationLoss,
        Measure.BitsPerByte => outcome.BitsPerByte,
        _ => outcome.ValidationAccuracy,
    };

    /// <summary>What it is called.</summary>
    public static string Name(this Measure measure) => measure switch
    {
        Measure.Loss => "validation loss",
        Measure.BitsPerByte => "bits per byte",
        _ => "accuracy",
    };

    /// <summary>A difference's unit.</summary>
    public static string Unit(this Measure measure) => measure switch
    {
        Measure.Loss => "nats per token",
        Measure.BitsPerByte => "bits per byte",
        _ => "of the answers",
    };

    /// <summary>Whether a greater number is a better one.</summary>
    public static bool IsBetterGreater(this Measure measure) => measure == Measure.Accuracy;
}
