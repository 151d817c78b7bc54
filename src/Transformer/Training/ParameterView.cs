using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>One parameter's range in a <see cref="ParameterSpace"/>.</summary>
/// <param name="Spec">Its spec, whose shape is that of the whole model's.</param>
/// <param name="Value">The parameter itself, a view of the space's values; empty where these are sharded and
/// its block is not being computed.</param>
/// <param name="Shape">Its dimensions on this rank.</param>
/// <param name="Offset">Where it begins in the space.</param>
/// <param name="Length">Its length there, with the padding to the next boundary.</param>
/// <param name="LearningRateScale">What the learning rate is multiplied by, as the rules say.</param>
/// <param name="WidthScale">
/// What Adam's learning rate is multiplied by beside that, and its weight decay divided by: under muP less for wider hidden matrices,
/// else 1.
/// </param>
public sealed record ParameterView(
    ParameterSpec Spec, Parameter Value, long[] Shape, long Offset, long Length, double LearningRateScale, double WidthScale)
{
    /// <summary>Its name in the model.</summary>
    public string Name => Spec.Name;

    /// <summary>Whether weight decay applies.</summary>
    public bool Decays => Spec.Decays;

    /// <summary>Its gradient, a view of the space's gradients; null where these are sharded.</summary>
    public Tensor? Gradient { get; internal set; }

    /// <summary>The number of its elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);
}
