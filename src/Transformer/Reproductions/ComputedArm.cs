using Transformer.Training;

namespace Transformer.Reproductions;

/// <summary>An arm that is no training run of its own. After an interruption it begins anew.</summary>
/// <param name="Name">Its name within the reproduction.</param>
/// <param name="Compute">Its measures by name, from the seed.</param>
public sealed record ComputedArm(string Name, Func<int, CancellationToken, IReadOnlyDictionary<string, double>> Compute) : Arm(Name)
{
    /// <inheritdoc/>
    internal override string Definition(int seed) => $"{Name} seed={seed}";

    /// <inheritdoc/>
    internal override IReadOnlyDictionary<string, double> Measure(
        string folder, int seed, Action<TrainingEvent> report, CancellationToken cancellation) => Compute(seed, cancellation);
}
