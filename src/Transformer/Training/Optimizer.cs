using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>The rule that turns gradients into steps.</summary>
public abstract class Optimizer : IDisposable
{
    /// <summary>
    /// What the rule remembers on this rank, by name, for a checkpoint; restored by copying into these tensors. A name that ends with @ and
    /// a number is a part of what all ranks together remember of a parameter, the number being its first place.
    /// </summary>
    public abstract IEnumerable<(string Name, Tensor Value)> State { get; }

    /// <summary>Changes the parameters by their gradients.</summary>
    /// <param name="schedule">The share of the peak learning rate that holds now.</param>
    /// <param name="gradientScale">What gradients are divided by first (a clipped gradient's excess): a one-element tensor, or null for
    /// 1.</param>
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
