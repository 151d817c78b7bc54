using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

/// <summary>
/// A tensor of the graph: an input, a weight, or what a node makes. Operators and methods add nodes, so that a layer's graph reads like its
/// equation. Numbers beside fp32 values are written as such: <c>x * 2.0</c>; beside integers as integers.
/// </summary>
/// <param name="Graph">The graph that it is part of.</param>
/// <param name="Name">Its name there.</param>
internal sealed record Value(GraphBuilder Graph, string Name)
{
    public static Value operator +(Value a, Value b) => a.Graph.Node("Add", [a, b]);

    public static Value operator -(Value a, Value b) => a.Graph.Node("Sub", [a, b]);

    public static Value operator *(Value a, Value b) => a.Graph.Node("Mul", [a, b]);

    public static Value operator /(Value a, Value b) => a.Graph.Node("Div", [a, b]);

    public static Value operator -(Value a) => a.Graph.Node("Neg", [a]);

    public static Value operator +(Value a, double b) => a + a.Graph.Scalar((float)b);

    public static Value operator *(Value a, double b) => a * a.Graph.Scalar((float)b);

    public static Value operator +(Value a, long b) => a + a.Graph.Scalar(b);

    /// <summary>An operator of one input and no attributes.</summary>
    public Value Apply(string op) => Graph.Node(op, [this]);

    public Value MatMul(Value other) => Graph.Node("MatMul", [this, other]);

    /// <summary>Where 0 keeps the size of the axis that stands there and -1 takes what remains.</summary>
    public Value Reshape(params long[] shape) => Graph.Node("Reshape", [this, Graph.Vector(shape)]);

    public Value Transpose(params long[] order) => Graph.Node("Transpose", [this], ("perm", order));

    public Value Unsqueeze(params long[] axes) => Graph.Node("Unsqueeze", [this, Graph.Vector(axes)]);

    public Value Squeeze(params long[] axes) => Graph.Node("Squeeze", [this, Graph.Vector(axes)]);

    /// <summary>
    /// The entries from start to before end; negative ones count from the end, and <see cref="long.MaxValue"/> is the end.
    /// </summary>
    public Value Slice(long axis, long start, long end) => Slice(axis, Graph.Vector(start), end);

    /// <inheritdoc cref="Slice(long, long, long)"/>
    /// <param name="axis">Along which.</param>
    /// <param name="start">[1]</param>
    /// <param name="end">As there.</param>
    public Value Slice(long axis, Value start, long end) => Graph.Node("Slice", [this, start, Graph.Vector(end), Graph.Vector(axis)]);

    /// <summary>The rows of this table that the indices name.</summary>
    public Value Gather(Value indices) => Graph.Node("Gather", [this, indices], ("axis", 0L));

    public Value GatherElements(Value indices, long axis) => Graph.Node("GatherElements", [this, indices], ("axis", axis));

    public Value Expand(params long[] shape) => Graph.Node("Expand", [this, Graph.Vector(shape)]);

    public Value Concat(Value other, long axis) => Graph.Node("Concat", [this, other], ("axis", axis));

    public Value Softmax() => Graph.Node("Softmax", [this], ("axis", -1L));

    public Value Mean(long axis, bool keep = true) =>
        Graph.Node("ReduceMean", [this], ("axes", new[] { axis }), ("keepdims", keep ? 1L : 0L));

    public Value Sum(long axis) => Graph.Node("ReduceSum", [this, Graph.Vector(axis)], ("keepdims", 1L));

    public Value Greatest(long axis) => Graph.Node("ReduceMax", [this], ("axes", new[] { axis }));

    /// <summary>The sum of all entries up to each one along an axis.</summary>
    public Value CumulativeSum(long axis) => Graph.Node("CumSum", [this, Graph.Scalar(axis)]);

    public Value AtLeast(Value other) => Graph.Node("GreaterOrEqual", [this, other]);

    public Value AtMost(Value other) => Graph.Node("LessOrEqual", [this, other]);

    public Value And(Value other) => Graph.Node("And", [this, other]);

    /// <summary>Where this is true the one, elsewhere the other.</summary>
    public Value Where(Value yes, Value no) => Graph.Node("Where", [this, yes, no]);

    public Value Clip(Value least, Value most) => Graph.Node("Clip", [this, least, most]);

    public Value To(ScalarType type) => Graph.Node("Cast", [this], ("to", (long)GraphBuilder.TypeOf(type)));

    /// <summary>How long an axis is: [1], an integer.</summary>
    public Value Length(long axis) => Graph.Node("Shape", [this], ("start", axis), ("end", axis + 1));
}
