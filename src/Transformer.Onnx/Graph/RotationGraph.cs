using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · H heads · D head width · T0 tokens of a text of training · s factor

/// <summary>Rotary positions: the tables of <see cref="RotaryPosition"/>, or for dynamic NTK, whose angles depend on the text's length, their formula.</summary>
internal sealed class RotationGraph
{
    private readonly GraphContext context;
    private readonly RotaryPositionConfig rope;
    private readonly int headWidth;
    private (Value Cos, Value Sin)? tables, queries, keys;

    private RotationGraph(GraphContext context, RotaryPositionConfig rope, int headWidth) => (this.context, this.rope, this.headWidth) = (context, rope, headWidth);

    public static RotationGraph? Of(GraphContext context) =>
        context.Config is { Position: RotaryPositionConfig rope, RotaryWidth: { } headWidth }
            ? new RotationGraph(context, rope, headWidth)
            : null;

    /// <summary>Whether caches hold keys as they were before the rotation, so that all are turned in every context.</summary>
    public bool TurnsCache => rope.Scaling is DynamicNtkScalingConfig;

    /// <summary>Turns what stands at the positions of the context.</summary>
    /// <param name="x">[B, H, T, D]</param>
    public Value Apply(Value x) => context.Graph.IsFused && !TurnsCache
        ? context.Graph.Microsoft("RotaryEmbedding", [x, context.Positions, Tables.Cos, Tables.Sin])
        : Turn(x, queries ??= At(context.Positions));

    /// <summary>Turns a cache of keys that are not turned yet.</summary>
    /// <param name="k">[B, G, S, D]</param>
    public Value ApplyToCache(Value k) => Turn(k, keys ??= At(context.KeyPositions));

    /// <summary>
    /// The cosines and sines of all positions, where they do not depend on the text: 2 x [context + 1, D/2]. The row behind the last is for what fills a row
    /// that is full while others go on.
    /// </summary>
    public (Value Cos, Value Sin) Tables
    {
        get
        {
            if (tables is { } known) return known;
            var length = context.Config.ContextLength + (context.Graph.IsFused ? 1 : 0);
            using var table = new RotaryPosition(rope, headWidth, length, CPU);
            var (cos, sin) = table.At(0, length);                                                               // 2 x [context, D/2]
            tables = known = (context.Graph.Initializer("rotation.cos", cos.clone()), context.Graph.Initializer("rotation.sin", sin.clone()));
            return known;
        }
    }

    // Pairs are (i, i + D/2).
    private Value Turn(Value x, (Value Cos, Value Sin) angle)
    {
        var (first, second) = (x.Slice(3, 0, headWidth / 2), x.Slice(3, headWidth / 2, headWidth));             // 2 x [B, H, T, D/2]
        return (first * angle.Cos - second * angle.Sin).Concat(second * angle.Cos + first * angle.Sin, 3);
    }

    // Cosines and sines: 2 x [B, 1, T, D/2].
    private (Value, Value) At(Value positions)
    {
        var scope = context.Graph.Scope;
        context.Graph.Scope = "/rotation";
        var (cos, sin) = rope.Scaling is DynamicNtkScalingConfig dynamic ? Computed(dynamic, positions) : (Tables.Cos.Gather(positions), Tables.Sin.Gather(positions));
        (cos, sin) = (cos.Unsqueeze(1), sin.Unsqueeze(1));
        context.Graph.Scope = scope;
        return (cos, sin);
    }

    // The base grows as (s T / T0 - (s - 1))^(D / (D - 2)) past T0; in double precision, as the tables are.
    private (Value, Value) Computed(DynamicNtkScalingConfig dynamic, Value positions)
    {
        var graph = context.Graph;
        var length = context.TextLength.To(ScalarType.Float64).Unsqueeze(2);                                       // [B, 1, 1]
        var growth = length * graph.Scalar(dynamic.Factor / dynamic.OriginalLength) - graph.Scalar(dynamic.Factor - 1);
        growth = graph.Node("Max", [growth, graph.Scalar(1.0)]);
        var logBase = growth.Apply("Log") * graph.Scalar((double)headWidth / (headWidth - 2)) + graph.Scalar(Math.Log(rope.Theta));
        var exponents = graph.Initializer("rotation.exponents", -arange(0, headWidth, 2, ScalarType.Float64) / headWidth);    // [D/2]
        var angles = positions.To(ScalarType.Float64).Unsqueeze(2) * (logBase * exponents).Apply("Exp");        // [B, T, D/2]
        var quarter = graph.Scalar(Math.PI / 2);                                                                // there is a sine of doubles, but no cosine
        return ((angles + quarter).Apply("Sin").To(ScalarType.Float32), angles.Apply("Sin").To(ScalarType.Float32));
    }
}
