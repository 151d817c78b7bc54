using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// Dynamic loss scaling (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). fp16 has no numbers below 6e-8, so small gradients would
/// be lost: the loss is multiplied by a power of two, and the gradients are divided by it before clipping. A step whose gradients
/// overflowed is skipped and the scale halved; after 2,000 good steps in a row it is doubled. It works with any TorchSharp model:
/// <code>
/// scaler.Scaled(loss).backward();
/// var finite = scaler.Unscale(model.parameters().Select(parameter => parameter.grad));
/// if (finite) optimizer.step();
/// scaler.Update(finite);
/// </code>
/// </summary>
/// <param name="scale">The first scale, or that of a resumed run; a power of two, so that scaling is exact.</param>
/// <param name="goodSteps">The steps since the scale last changed.</param>
public sealed class GradientScaler(double scale = GradientScaler.FirstScale, int goodSteps = 0)
{
    /// <summary>The scale of the first step, 2^16.</summary>
    public const double FirstScale = 65536;

    /// <summary>
    /// The least scale: gradients that overflow even without scaling are not a matter of the scale.
    /// </summary>
    public const double LeastScale = 1;

    /// <summary>How many good steps in a row double the scale.</summary>
    public const int GrowthInterval = 2000;

    /// <summary>The current factor of the loss.</summary>
    public double Scale { get; private set; } = scale;

    /// <summary>The good steps since the scale last changed.</summary>
    public int GoodSteps { get; private set; } = goodSteps;

    /// <summary>The scaler of a run: only fp16 needs one.</summary>
    /// <param name="precision">The type of the products.</param>
    /// <param name="scale">The scale of a resumed run; the first where null.</param>
    /// <param name="goodSteps">The steps since it last changed.</param>
    public static GradientScaler? For(Precision precision, double? scale = null, int goodSteps = 0) =>
        precision == Precision.Fp16 ? new GradientScaler(scale ?? FirstScale, goodSteps) : null;

    /// <summary>The scaled loss, from which the backward pass starts.</summary>
    public Tensor Scaled(Tensor loss) => loss * Scale;

    /// <summary>Divides gradients by the scale, in place.</summary>
    /// <param name="gradients">The gradients of all parameters that one step changes; null for a parameter without one.</param>
    /// <returns>Whether all are finite. If not, the step must be skipped.</returns>
    public bool Unscale(IEnumerable<Tensor?> gradients)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var greatest = new List<Tensor>();
        foreach (var gradient in gradients)
        {
            if (gradient is null) continue;
            Divide(gradient);
            greatest.Add(linalg.vector_norm(gradient, double.PositiveInfinity).to(ScalarType.Float32));    // the greatest, or NaN
        }
        return greatest.Count == 0 || stack(greatest).ToHost().All(double.IsFinite);
    }

    /// <summary>Divides a gradient by the scale, in place, without checking whether it is finite.</summary>
    public void Divide(Tensor gradient) => gradient.div_(Scale);

    /// <summary>Adapts the scale after a step; call it once per step, taken or skipped.</summary>
    /// <param name="finite">Whether the step's gradients were finite.</param>
    /// <exception cref="NonFiniteLossException">They overflow even at the least scale.</exception>
    public void Update(bool finite)
    {
        if (finite && ++GoodSteps < GrowthInterval) return;
        if (!finite && Scale <= LeastScale)
            throw new NonFiniteLossException(
                $"steps overflow fp16 one after the other, even with a gradient scale of {LeastScale}: the model's numbers are too large");
        (Scale, GoodSteps) = (finite ? 2 * Scale : Math.Max(LeastScale, Scale / 2), 0);
    }
}
