using Transformer.Configuration;
using Transformer.Layers;
using static TorchSharp.torch;
using Linear = Transformer.Layers.Linear;

namespace Transformer.Model.Hierarchy;

// B batch · S groups · s tokens of a group · C width

/// <summary>
/// How groups of s tokens become one vector each (Nawrot et al. 2021, arXiv:2110.13711, section 2.2):
/// <c>forward(groups [B, S, s, C], context) -> [B, S, C]</c>.
/// </summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class Pooling(string name) : nn.Module<Tensor, ForwardContext, Tensor>(name)
{
    /// <summary>The pooling of an hourglass.</summary>
    /// <param name="model">The model that it is part of.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="shorten">s.</param>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static Pooling FromConfig(ModelConfig model, PoolingConfig config, int shorten) => config switch
    {
        AveragePoolingConfig => new AveragePooling(),
        LinearPoolingConfig => new LinearPooling(model.Width, shorten),
        AttentionPoolingConfig attention => new AttentionPooling(
            FromConfig(model, attention.Initial, shorten), Resampling.Block(model, attention.Heads, attention.Bias)),
        _ => throw Kind.Unknown("model.layers.pooling", config, "layer"),
    };
}

/// <summary>The mean of a group.</summary>
public sealed class AveragePooling() : Pooling(nameof(AveragePooling))
{
    /// <inheritdoc/>
    public override Tensor forward(Tensor groups, ForwardContext context) => groups.mean([2L]);
}

/// <summary>W [x_1; ...; x_s] + b.</summary>
public sealed class LinearPooling : Pooling
{
    private readonly Linear proj;

    /// <param name="width">C.</param>
    /// <param name="shorten">s.</param>
    public LinearPooling(int width, int shorten) : base(nameof(LinearPooling))
    {
        proj = new Linear((long)shorten * width, width, hasBias: true);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor groups, ForwardContext context) =>
        proj.call(context.ForMatmul(groups.flatten(2))).to(groups.dtype);
}

/// <summary>What another pooling gives reads the tokens of its group by attention.</summary>
public sealed class AttentionPooling : Pooling
{
    private readonly Pooling initial;
    private readonly Block resampling;

    /// <param name="initial">What gives the queries.</param>
    /// <param name="resampling">Cross-attention and a feed-forward layer.</param>
    public AttentionPooling(Pooling initial, Block resampling) : base(nameof(AttentionPooling))
    {
        (this.initial, this.resampling) = (initial, resampling);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor groups, ForwardContext context)
    {
        var queries = initial.call(groups, context).flatten(0, 1).unsqueeze(1);                        // [B S, 1, C]
        return Resampling.Apply(resampling, queries, groups.flatten(0, 1), context).view(groups.shape[0], groups.shape[1], -1);
    }
}
