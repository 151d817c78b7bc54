namespace Transformer.Reproductions;

/// <summary>What the arms of a reproduction measured, by their names.</summary>
public sealed class ArmResults(IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> arms)
{
    /// <summary>A measure of an arm.</summary>
    /// <param name="arm">The arm's name.</param>
    /// <param name="measure">The measure's name.</param>
    public double this[string arm, string measure] => arms[arm][measure];

    /// <summary>The loss of a trained arm over the whole validation data after its last step, in nats per token.</summary>
    public double Loss(string arm) => this[arm, TrainedArm.LossName];

    /// <summary>How much greater the loss of an arm is than another's.</summary>
    public double LossDifference(string arm, string other) => Loss(arm) - Loss(other);

    /// <summary>The accuracy of a trained arm on the whole validation data after its last step, from 0 to 1.</summary>
    public double Accuracy(string arm) => this[arm, TrainedArm.AccuracyName];
}
