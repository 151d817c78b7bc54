using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>The rule that turns gradients into steps.</summary>
public abstract class Optimizer : IDisposable
{
    /// <summary>
    /// The optimizer's state on this rank, by name, for a checkpoint; restored by copying into these tensors. A name that ends with @ and a
    /// number is a part of a parameter's state; the number is its first index.
    /// </summary>
    public abstract IEnumerable<(string Name, Tensor Value)> State { get; }

    /// <summary>Updates the parameters with their gradients.</summary>
    /// <param name="schedule">The current learning rate as a fraction of the peak.</param>
    /// <param name="gradientScale">The divisor of the gradients (for clipping): a one-element tensor, or null for 1.</param>
    public abstract void Step(double schedule, Tensor? gradientScale = null);

    /// <summary>The rule of a configuration, over all parameters of a space.</summary>
    public static Optimizer FromConfig(OptimizerConfig config, ParameterSpace space) => config switch
    {
        AdamWConfig adamw => new AdamW(adamw, space.Parameters, space),
        MuonConfig muon => new Muon(muon, space),
        _ => throw new ArgumentOutOfRangeException(nameof(config), config, "no such optimizer"),
    };

    /// <inheritdoc/>
    public abstract void Dispose();
}
