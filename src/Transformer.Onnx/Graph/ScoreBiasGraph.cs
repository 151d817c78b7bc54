using Transformer.Configuration;
using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T queries · S keys · H heads · D head width · K greatest distance

/// <summary>What the distance of query and key adds to their score: ALiBi, T5's buckets, Shaw's relative positions.</summary>
internal sealed class ScoreBiasGraph
{
    private readonly GraphContext context;
    private Value? shared;

    private ScoreBiasGraph(GraphContext context) => this.context = context;

    public static ScoreBiasGraph? Of(GraphContext context) =>
        context.Config.Position is ScoreBiasPositionConfig && context.Config.SoftmaxMixers().Any() ? new ScoreBiasGraph(context) : null;

    /// <param name="q">The queries of a block: [B, H, T, D].</param>
    /// <param name="attention">The block's attention.</param>
    /// <returns>[B, H, T, S]</returns>
    public Value For(Value q, SoftmaxAttentionConfig attention) => context.Config.Position switch
    {
        AlibiPositionConfig => shared ??= Alibi(attention.Heads),
        T5PositionConfig t5 => shared ??= T5(t5),
        RelativePositionConfig relative => Relative(q, relative, attention),
        var other => throw Kind.Unknown("model.position", other, "ONNX graph"),
    };

    private Value Alibi(int heads)
    {
        var slopes = tensor(AlibiPositionConfig.Slopes(heads).Select(slope => -(float)slope).ToArray()).view(1, -1, 1, 1);
        return context.Graph.Initializer("alibi.slopes", slopes) * context.Distance.To(ScalarType.Float32);
    }

    // What each distance adds to each head is known: [K + 1, H].
    private Value T5(T5PositionConfig t5)
    {
        var buckets = tensor(Enumerable.Range(0, t5.MaximumDistance + 1).Select(distance => t5.BucketOf(distance)).ToArray());
        var table = context.Weights.Numbers("model.position_bias.relative_attention_bias.weight").index_select(0, buckets);
        return context.Graph.Initializer("t5.by_distance", table).Gather(Clamped(t5.MaximumDistance).Squeeze(1)).Transpose(0, 3, 1, 2);
    }

    private Value Relative(Value q, RelativePositionConfig relative, SoftmaxAttentionConfig attention)
    {
        const string name = "model.position_bias.distance_embedding.weight";
        var vectors = context.Graph.Initializer($"{name}.transposed", context.Weights.Numbers(name).t());             // [D, K + 1]
        var products = (q * context.Config.ScoreScale(attention)).MatMul(vectors);                          // [B, H, T, K + 1]
        return products.GatherElements(Clamped(relative.Maximum).Expand(1, attention.Heads, 1, 1), 3);
    }

    private Value Clamped(long maximum) =>
        context.Distance.Clip(context.Graph.Scalar(0L), context.Graph.Scalar(maximum));                         // [B, 1, T, S]
}
