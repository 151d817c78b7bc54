using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// I pictures · N patches · s side of a group of patches · C' width of the encoder · C width

/// <summary>
/// How the encoder's vectors become vectors of the model's width: <c>forward(x [I, N, C'], context) -> [I, N', C]</c>.
/// </summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class Projector(string name) : nn.Module<Tensor, ForwardContext, Tensor>(name)
{
    /// <summary>The projector of a configuration.</summary>
    /// <param name="config">Its kind.</param>
    /// <param name="encoder">The encoder as a model.</param>
    /// <param name="width">C.</param>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static Projector FromConfig(ProjectorConfig config, ModelConfig encoder, int width) => config switch
    {
        LinearProjectorConfig linear => new LinearProjector(encoder.Width, width, linear.Bias),
        MlpProjectorConfig => new MlpProjector(encoder.Width, width),
        PixelShuffleProjectorConfig shuffle => new PixelShuffle(encoder.Width, width, shuffle.Factor, shuffle.Bias),
        PerceiverResamplerConfig resampler => new PerceiverResampler(resampler, encoder, width),
        _ => throw Kind.Unknown("model.vision.projector", config, "layer"),
    };
}

/// <summary>W x + b.</summary>
public sealed class LinearProjector : Projector
{
    private readonly Linear proj;

    /// <param name="from">C'.</param>
    /// <param name="width">C.</param>
    /// <param name="bias">Whether b is added.</param>
    public LinearProjector(int from, int width, bool bias) : base(nameof(LinearProjector))
    {
        proj = new Linear(from, width, bias);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, ForwardContext context) => proj.call(context.ForMatmul(x));
}

/// <summary>W2 gelu(W1 x + b1) + b2 with the exact GELU (Liu et al. 2023, arXiv:2310.03744).</summary>
public sealed class MlpProjector : Projector
{
    private readonly Linear linear_1;
    private readonly Linear linear_2;

    /// <param name="from">C'.</param>
    /// <param name="width">C, and the width between the two maps.</param>
    public MlpProjector(int from, int width) : base(nameof(MlpProjector))
    {
        linear_1 = new Linear(from, width, hasBias: true);
        linear_2 = new Linear(width, width, hasBias: true);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, ForwardContext context) =>
        linear_2.call(nn.functional.gelu(linear_1.call(context.ForMatmul(x))));
}

/// <summary>A linear map of the vectors of s x s neighbouring patches together (Laurencon et al. 2024, arXiv:2408.12637).</summary>
public sealed class PixelShuffle : Projector
{
    private readonly int factor;
    private readonly Linear proj;

    /// <param name="from">C'.</param>
    /// <param name="width">C.</param>
    /// <param name="factor">s.</param>
    /// <param name="bias">Whether a bias is added.</param>
    public PixelShuffle(int from, int width, int factor, bool bias) : base(nameof(PixelShuffle))
    {
        this.factor = factor;
        proj = new Linear((long)factor * factor * from, width, bias);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, ForwardContext context) => proj.call(context.ForMatmul(Shuffle(x, factor)));

    /// <summary>
    /// Number (dy s + dx) C' + c of place (i, j) is number c of place (i s + dy, j s + dx): the channels of a group of places one behind
    /// the other.
    /// </summary>
    /// <param name="x">[I, N, C'], the places of a square by rows.</param>
    /// <param name="factor">s, which divides the square's side.</param>
    /// <returns>[I, N / s^2, s^2 C']</returns>
    public static Tensor Shuffle(Tensor x, int factor)
    {
        var side = (long)Math.Round(Math.Sqrt(x.shape[1])) / factor;
        return x.view(x.shape[0], side, factor, side, factor, x.shape[2])       // [I, i, dy, j, dx, C']
            .permute(0, 1, 3, 2, 4, 5).flatten(3).flatten(1, 2);
    }
}
