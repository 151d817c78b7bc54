using Transformer.Configuration;
using Transformer.Layers;
using static TorchSharp.torch;
using Linear = Transformer.Layers.Linear;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · S groups · s tokens of a group · C width

/// <summary>
/// How the vector of a group is added to those of the s tokens that receive it (Nawrot et al. 2021, arXiv:2110.13711, section 2.3).
/// </summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class Upsampling(string name) : nn.Module(name)
{
    /// <summary>The stream behind an hourglass, of whole groups.</summary>
    /// <param name="x">The stream before it, group by group: [B, S, s, C].</param>
    /// <param name="rows">What its layers made of the groups: [B, S, C].</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, S, s, C]</returns>
    public abstract Tensor OfGroups(Tensor x, Tensor rows, ForwardContext context);

    /// <summary>The same of single tokens.</summary>
    /// <param name="x">The stream before it: [B, T, C].</param>
    /// <param name="received">For each token the vector of the group that it receives: [B, T, C].</param>
    /// <param name="places">Which of the s tokens that receive it each one is: [B, T].</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, T, C]</returns>
    public abstract Tensor OfTokens(Tensor x, Tensor received, Tensor places, ForwardContext context);

    /// <summary>The upsampling of an hourglass.</summary>
    /// <param name="model">The model that it is part of.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="shorten">s.</param>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static Upsampling FromConfig(ModelConfig model, UpsamplingConfig config, int shorten) => config switch
    {
        RepeatUpsamplingConfig => new RepeatUpsampling(),
        LinearUpsamplingConfig => new LinearUpsampling(model.Width, shorten),
        AttentionUpsamplingConfig attention => new AttentionUpsampling(
            FromConfig(model, attention.Initial, shorten), Resampling.Block(model, attention.Heads, attention.Bias)),
        _ => throw Kind.Unknown("model.layers.upsampling", config, "layer"),
    };
}

/// <summary>x + y, the same y for all tokens of a group.</summary>
public sealed class RepeatUpsampling() : Upsampling(nameof(RepeatUpsampling))
{
    /// <inheritdoc/>
    public override Tensor OfGroups(Tensor x, Tensor rows, ForwardContext context) => x + rows.unsqueeze(2);

    /// <inheritdoc/>
    public override Tensor OfTokens(Tensor x, Tensor received, Tensor places, ForwardContext context) => x + received;
}

/// <summary>x_i + (W y + b)_i: a map of its own for each of the s places.</summary>
public sealed class LinearUpsampling : Upsampling
{
    private readonly Linear proj;
    private readonly int shorten;

    /// <param name="width">C.</param>
    /// <param name="shorten">s.</param>
    public LinearUpsampling(int width, int shorten) : base(nameof(LinearUpsampling))
    {
        this.shorten = shorten;
        proj = new Linear(width, (long)shorten * width, hasBias: true);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor OfGroups(Tensor x, Tensor rows, ForwardContext context) => x + Places(rows, context);

    /// <inheritdoc/>
    public override Tensor OfTokens(Tensor x, Tensor received, Tensor places, ForwardContext context)
    {
        var index = places.unsqueeze(-1).unsqueeze(-1).expand(-1, -1, 1, x.shape[2]);                  // [B, T, 1, C]
        return x + Places(received, context).gather(2, index).squeeze(2);
    }

    private Tensor Places(Tensor rows, ForwardContext context) =>
        proj.call(context.ForMatmul(rows)).to(rows.dtype).unflatten(2, [shorten, rows.shape[2]]);                // [B, S or T, s, C]
}

/// <summary>What another upsampling gives reads the vector of its group by attention.</summary>
public sealed class AttentionUpsampling : Upsampling
{
    private readonly Upsampling initial;
    private readonly Block resampling;

    /// <param name="initial">What gives the queries.</param>
    /// <param name="resampling">Cross-attention and a feed-forward layer.</param>
    public AttentionUpsampling(Upsampling initial, Block resampling) : base(nameof(AttentionUpsampling))
    {
        (this.initial, this.resampling) = (initial, resampling);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor OfGroups(Tensor x, Tensor rows, ForwardContext context) =>
        Resample(initial.OfGroups(x, rows, context).flatten(0, 1), rows, context).view_as(x);

    /// <inheritdoc/>
    public override Tensor OfTokens(Tensor x, Tensor received, Tensor places, ForwardContext context) =>
        Resample(initial.OfTokens(x, received, places, context).flatten(0, 1).unsqueeze(1), received, context).view_as(x);

    private Tensor Resample(Tensor queries, Tensor rows, ForwardContext context) =>
        Resampling.Apply(resampling, queries, rows.flatten(0, 1).unsqueeze(1), context);
}
