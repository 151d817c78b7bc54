using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>One parameter's place in a <see cref="ParameterSpace"/>.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Value">The parameter itself, a view of the space's values; empty where these are sharded and its block is not at work.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Offset">Where it begins in the space.</param>
/// <param name="Length">How many numbers it takes there, the zeros up to the next boundary included.</param>
/// <param name="Decays">Whether weight decay applies: to two or more dimensions, as in GPT-2.</param>
/// <param name="LearningRateScale">What the learning rate is multiplied by, as the rules say.</param>
/// <param name="WidthScale">What Adam's learning rate is multiplied by beside that: under muP less for wider hidden matrices, else 1.</param>
public sealed record ParameterView(
    string Name, Parameter Value, long[] Shape, long Offset, long Length, bool Decays, double LearningRateScale, double WidthScale)
{
    /// <summary>Its gradient, a view of the space's gradients; null where these are sharded.</summary>
    public Tensor? Gradient { get; internal set; }

    /// <summary>The number of its numbers.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);
}
