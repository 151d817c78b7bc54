using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · H heads · D head width · T0 tokens of a text of training · s factor

/// <summary>Rotary positions: the tables of <see cref="RotaryPosition"/>, or for dynamic NTK, whose angles depend on the text's length, their formula.</summary>
internal sealed class RotationGraph
{
    private readonly Pass pass;
    private readonly RotaryPositionConfig rope;
    private readonly int headWidth;
    private (Value Cos, Value Sin) queries, keys;

    private RotationGraph(Pass pass, RotaryPositionConfig rope, int headWidth)
    {
        (this.pass, this.rope, this.headWidth) = (pass, rope, headWidth);
        pass.Graph.Scope = "/rotation";
        queries = At(pass.Positions);
        if (TurnsCache) keys = At(pass.KeyPositions);
    }

    public static RotationGraph? Of(Pass pass) =>
        pass.Config.Position is RotaryPositionConfig rope && pass.Config.PositionedMixers.FirstOrDefault() is { } turned
            ? new RotationGraph(pass, rope, turned.HeadWidthAt(pass.Config.Width))
            : null;

    /// <summary>Whether caches hold keys as they were before the rotation, so that all are turned in every pass.</summary>
    public bool TurnsCache => rope.Scaling is DynamicNtkScalingConfig;

    /// <summary>Turns what stands at the positions of the pass.</summary>
    /// <param name="x">[B, H, T, D]</param>
    public Value Apply(Value x) => Turn(x, queries);

    /// <summary>Turns a cache of keys that are not turned yet.</summary>
    /// <param name="k">[B, G, S, D]</param>
    public Value ApplyToCache(Value k) => Turn(k, keys);

    // Pairs are (i, i + D/2).
    private Value Turn(Value x, (Value Cos, Value Sin) angle)
    {
        var (first, second) = (x.Slice(3, 0, headWidth / 2), x.Slice(3, headWidth / 2, headWidth));             // 2 x [B, H, T, D/2]
        return (first * angle.Cos - second * angle.Sin).Concat(second * angle.Cos + first * angle.Sin, 3);
    }

    // Cosines and sines: 2 x [B, 1, T, D/2].
    private (Value, Value) At(Value positions)
    {
        var (cos, sin) = rope.Scaling is DynamicNtkScalingConfig dynamic ? Computed(dynamic, positions) : LookedUp(positions);
        return (cos.Unsqueeze(1), sin.Unsqueeze(1));
    }

    private (Value, Value) LookedUp(Value positions)
    {
        using var table = new RotaryPosition(rope, headWidth, pass.Config.ContextLength, CPU);
        var (cos, sin) = table.At(0, pass.Config.ContextLength);                                                // 2 x [context, D/2]
        return (pass.Graph.Initializer("rotation.cos", cos.clone()).Gather(positions), pass.Graph.Initializer("rotation.sin", sin.clone()).Gather(positions));
    }

    // The base grows as (s T / T0 - (s - 1))^(D / (D - 2)) past T0; in double precision, as the tables are.
    private (Value, Value) Computed(DynamicNtkScalingConfig dynamic, Value positions)
    {
        var graph = pass.Graph;
        var length = pass.TextLength.To(ScalarType.Float64).Unsqueeze(2);                                       // [B, 1, 1]
        var growth = length * graph.Scalar(dynamic.Factor / dynamic.OriginalLength) - graph.Scalar(dynamic.Factor - 1);
        growth = graph.Node("Max", [growth, graph.Scalar(1.0)]);
        var logBase = growth.Apply("Log") * graph.Scalar((double)headWidth / (headWidth - 2)) + graph.Scalar(Math.Log(rope.Theta));
        var exponents = graph.Initializer("rotation.exponents", -arange(0, headWidth, 2, ScalarType.Float64) / headWidth);    // [D/2]
        var angles = positions.To(ScalarType.Float64).Unsqueeze(2) * (logBase * exponents).Apply("Exp");        // [B, T, D/2]
        var quarter = graph.Scalar(Math.PI / 2);                                                                // there is a sine of doubles, but no cosine
        return ((angles + quarter).Apply("Sin").To(ScalarType.Float32), angles.Apply("Sin").To(ScalarType.Float32));
    }
}
