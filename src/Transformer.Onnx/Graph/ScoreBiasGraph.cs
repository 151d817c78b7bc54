using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T queries · S keys · H heads · D head width · K greatest distance

/// <summary>What the distance of query and key adds to their score: ALiBi, T5's buckets, Shaw's relative positions.</summary>
internal sealed class ScoreBiasGraph
{
    private readonly Pass pass;
    private Value? shared;

    private ScoreBiasGraph(Pass pass) => this.pass = pass;

    public static ScoreBiasGraph? Of(Pass pass) =>
        pass.Config.Position is ScoreBiasPositionConfig && pass.Config.SoftmaxMixers().Any() ? new ScoreBiasGraph(pass) : null;

    /// <param name="q">The queries of a block: [B, H, T, D].</param>
    /// <param name="attention">The block's attention.</param>
    /// <returns>[B, H, T, S]</returns>
    public Value For(Value q, SoftmaxAttentionConfig attention) => pass.Config.Position switch
    {
        AlibiPositionConfig => shared ??= Alibi(attention.Heads),
        T5PositionConfig t5 => shared ??= T5(t5),
        RelativePositionConfig relative => Relative(q, relative, attention),
        var other => throw new InputException($"model.position.kind: no ONNX graph is known for {other.GetType().Name}"),
    };

    private Value Alibi(int heads)
    {
        var slopes = pass.Graph.Initializer("alibi.slopes", tensor(AlibiBias.Slopes(heads).Select(slope => -(float)slope).ToArray()).view(1, -1, 1, 1));
        return slopes * pass.Distance.To(ScalarType.Float32);
    }

    // What each distance adds to each head is known: [K + 1, H].
    private Value T5(T5PositionConfig t5)
    {
        var buckets = tensor(Enumerable.Range(0, t5.MaximumDistance + 1).Select(distance => T5Bias.Bucket(distance, t5)).ToArray());
        var table = pass.Weights.Numbers("model.position_bias.relative_attention_bias.weight").index_select(0, buckets);
        return pass.Graph.Initializer("t5.by_distance", table).Gather(Clamped(t5.MaximumDistance).Squeeze(1)).Transpose(0, 3, 1, 2);
    }

    private Value Relative(Value q, RelativePositionConfig relative, SoftmaxAttentionConfig attention)
    {
        const string name = "model.position_bias.distance_embedding.weight";
        var vectors = pass.Graph.Initializer($"{name}.transposed", pass.Weights.Numbers(name).t());             // [D, K + 1]
        var products = (q * TokenMixer.Scale(pass.Config, attention)).MatMul(vectors);                          // [B, H, T, K + 1]
        return products.GatherElements(Clamped(relative.Maximum).Expand(1, attention.Heads, 1, 1), 3);
    }

    private Value Clamped(long maximum) => pass.Distance.Clip(pass.Graph.Scalar(0L), pass.Graph.Scalar(maximum));    // [B, 1, T, S]
}
