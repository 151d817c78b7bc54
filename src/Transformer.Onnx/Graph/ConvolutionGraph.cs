using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width · W tokens seen

/// <summary>A causal depthwise convolution over the last W tokens, which carries W - 1 of them from run to run.</summary>
internal static class ConvolutionGraph
{
    /// <param name="context">Weights and mask.</param>
    /// <param name="x">[B, T, C]</param>
    /// <param name="name">The module's name: its weight is [C, 1, W].</param>
    /// <param name="layer">The block.</param>
    /// <param name="part">What its state is called.</param>
    /// <returns>[B, T, C]</returns>
    public static Value Convolve(GraphContext context, Value x, string name, int layer, string part)
    {
        var weight = context.Weights.Numbers($"{name}.weight");
        var (width, tail) = (weight.shape[0], weight.shape[2] - 1);
        var text = x * context.NewTokens.To(ScalarType.Float32).Unsqueeze(2);                                   // padding counts zero
        var before = context.State(layer, part, tail, width);                                                      // [B, W - 1, C]
        var all = before.Concat(text, 1);                                                                       // [B, W - 1 + T, C]
        context.Keep(layer, part, Last(context, all, tail, width), tail, width);
        if (context.Graph.IsFused) return Fused(context, text, before, name);
        return Enumerable.Range(0, (int)tail + 1)
            .Select(w => all.Slice(1, w, w == tail ? long.MaxValue : w - tail)
                * context.Graph.Initializer($"{name}.weight.{w}", weight.select(2, w).squeeze(1)))
            .Aggregate((sum, y) => sum + y);
    }

    // The operator's own state is left alone: it takes padding behind a text for text.
    private static Value Fused(GraphContext context, Value text, Value before, string name) => context.Graph.Nodes(
        "CausalConvWithState", [text, context.Weights.Tensor($"{name}.weight"), context.Graph.None, before],
        outputs: 2, GraphBuilder.MicrosoftDomain, ("channels_last", 1L))[0];

    // The W - 1 inputs up to each row's last token, which padding may follow: [B, W - 1, C].
    private static Value Last(GraphContext context, Value all, long tail, long width)
    {
        var graph = context.Graph;
        var numbers = graph.Node("Range", [graph.Scalar(1L), context.NewTokens.Length(1).Squeeze(0) + 1, graph.Scalar(1L)]);    // 1 .. T
        var end = (numbers * context.NewTokens).Greatest(1);                   // [B, 1]
        var slots = end + graph.Vector([.. Enumerable.Range(0, (int)tail).Select(slot => (long)slot)]);         // [B, W - 1]
        return all.GatherElements(slots.Unsqueeze(2).Expand(1, 1, width), 1);
    }
}
