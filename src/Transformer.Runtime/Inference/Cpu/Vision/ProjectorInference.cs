using Transformer.Configuration;

namespace Transformer.Inference.Cpu.Vision;

// N patches · s side of a group of patches · C' width of the encoder · C width

/// <summary>How the encoder's vectors become vectors of the model's width, in the buffer that the projector was made with.</summary>
internal abstract class ProjectorInference : IDisposable
{
    /// <summary>y = projector(x).</summary>
    /// <param name="x">[N, C']; kept, but its 8-bit form may be made.</param>
    public abstract void Run(Activations x);

    /// <summary>The projector of a configuration.</summary>
    /// <param name="plan">What the encoder's layers share.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="patches">N.</param>
    /// <param name="y">Where its result goes: [N', C].</param>
    /// <param name="path">Its module.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static ProjectorInference Of(InferencePlan plan, ProjectorConfig config, int patches, Activations y, string path) =>
        config switch
        {
            LinearProjectorConfig => new LinearProjectorInference(plan, patches, y, path),
            MlpProjectorConfig => new MlpProjectorInference(plan, patches, y, path),
            PixelShuffleProjectorConfig shuffle => new PixelShuffleInference(plan, shuffle.Factor, patches, y, path),
            PerceiverResamplerConfig resampler => new ResamplerInference(plan, resampler, patches, y, path),
            _ => throw Kind.Unknown("model.vision.projector", config, "CPU kernel"),
        };

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}

/// <summary>W x + b.</summary>
internal sealed class LinearProjectorInference(InferencePlan plan, int patches, Activations y, string path) : ProjectorInference
{
    private readonly MatrixProducts product = plan.Products(plan.Map($"{path}.proj", y));

    /// <inheritdoc/>
    public override void Run(Activations x) => product.Run(x, patches);            // [N, C]
}

/// <summary>W2 gelu(W1 x + b1) + b2.</summary>
internal sealed unsafe class MlpProjectorInference : ProjectorInference
{
    private readonly int patches;
    private readonly Activations hidden;
    private readonly MatrixProducts first, second;
    private readonly PerTokenKernel activation;

    /// <inheritdoc cref="ProjectorInference.Of"/>
    public MlpProjectorInference(InferencePlan plan, int patches, Activations y, string path)
    {
        (this.patches, hidden) = (patches, plan.Workspace.Buffer("hidden", y.Width));
        first = plan.Products(plan.Map($"{path}.linear_1", hidden));
        activation = new(plan.Team, patch => Activation.Apply<Gelu>(hidden.Row(patch), null, hidden.Row(patch), hidden.Width));
        second = plan.Products(plan.Map($"{path}.linear_2", y));
    }

    /// <inheritdoc/>
    public override void Run(Activations x)
    {
        first.Run(x, patches);                                                     // [N, C]
        activation.Run(patches);
        second.Run(hidden, patches);                                               // [N, C]
    }
}

/// <summary>A linear map of the vectors of s x s neighbouring patches, one behind the other.</summary>
internal sealed unsafe class PixelShuffleInference : ProjectorInference
{
    private readonly int factor, side;
    private readonly Activations groups;
    private readonly MatrixProducts product;

    /// <inheritdoc cref="ProjectorInference.Of"/>
    public PixelShuffleInference(InferencePlan plan, int factor, int patches, Activations y, string path)
    {
        (this.factor, side) = (factor, (int)Math.Round(Math.Sqrt(patches)) / factor);
        groups = plan.Workspace.Buffer("groups of patches", factor * factor * plan.Width);
        product = plan.Products(plan.Map($"{path}.proj", y));
    }

    /// <inheritdoc/>
    public override void Run(Activations x)
    {
        for (var row = 0; row < side * factor; row++)
            for (var column = 0; column < side * factor; column++)
            {
                var group = groups.Row(row / factor * side + column / factor);
                var place = row % factor * factor + column % factor;
                VectorKernels.Copy(x.Row(row * side * factor + column), group + (long)place * x.Width, x.Width);
            }
        product.Run(groups, side * side);                                          // [N / s^2, C]
    }
}
