using Google.Protobuf;
using Transformer.Distributed;
using Transformer.Onnx.Format;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

/// <summary>A graph that grows node by node, and the weights that it reads.</summary>
/// <param name="name">The graph's name, with which those of its values begin where it is part of another.</param>
/// <param name="operators">Which operators it may have.</param>
internal sealed class GraphBuilder(string name, OnnxOperators operators = OnnxOperators.Standard)
{
    /// <summary>The domain of the operators that ONNX Runtime adds to the standard's.</summary>
    public const string MicrosoftDomain = "com.microsoft";

    private readonly Dictionary<string, Tensor> initializers = [];
    private readonly Dictionary<string, Value> constants = [];

    /// <summary>Whether ONNX Runtime's own operators may stand for several of the standard's.</summary>
    public bool IsFused => operators == OnnxOperators.Fused;

    /// <summary>Which part of the model the next nodes belong to; their names begin with it.</summary>
    public string Scope { get; set; } = name;

    /// <summary>Nodes, inputs and outputs; weights are not in it yet.</summary>
    public GraphProto Graph { get; } = new() { Name = name };

    /// <summary>Weights and constants by name. They are read when the file is written.</summary>
    public IReadOnlyDictionary<string, Tensor> Initializers => initializers;

    /// <summary>The names of the operator sets beside the standard's.</summary>
    public IEnumerable<string> Domains => Graph.Node.Where(node => node.HasDomain).Select(node => node.Domain).Distinct();

    /// <summary>Whether an output is longer than the input that the next context makes of it.</summary>
    public bool HasGrowingCaches =>
        Graph.Output.Any(output => output.Type.TensorType.Shape.Dim.Any(axis => axis.DimParam == GraphContext.AllAxis));

    public Value Input(string input, ScalarType type, params Axis[] shape)
    {
        Graph.Input.Add(Info(input, type, shape));
        return new Value(this, input);
    }

    /// <summary>Gives what a node has just made, and no other has read, away under a name of its own.</summary>
    /// <returns>The same value under that name.</returns>
    public Value Output(string output, Value value, ScalarType type, params Axis[] shape) =>
        Output(output, value, type, isFirst: false, shape);

    /// <summary>The same; first of all outputs where asked for, because some tools read only the first.</summary>
    public Value Output(string output, Value value, ScalarType type, bool isFirst, params Axis[] shape)
    {
        var made = Graph.Node.Last(node => node.Output.Contains(value.Name)).Output;
        made[made.IndexOf(value.Name)] = output;
        Graph.Output.Insert(isFirst ? 0 : Graph.Output.Count, Info(output, type, shape));
        return new Value(this, output);
    }

    /// <summary>A weight; the same name is the same weight.</summary>
    public Value Initializer(string weight, Tensor value)
    {
        initializers.TryAdd(weight, value);
        return new Value(this, weight);
    }

    public Value Scalar(float number) => Constant($"{number:r}f", () => tensor(number));

    public Value Scalar(int number) => Constant($"{number}i", () => tensor(number, ScalarType.Int32));

    public Value Scalar(long number) => Constant($"{number}", () => tensor(number));

    public Value Scalar(double number) => Constant($"{number:r}d", () => tensor(number, ScalarType.Float64));

    public Value Vector(params long[] numbers) => Constant($"[{string.Join(',', numbers)}]", () => tensor(numbers));

    /// <summary>The one output of a new node.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="inputs">Its inputs in order.</param>
    /// <param name="attributes">A number, a text, a list of integers or a graph by name.</param>
    public Value Node(string op, IReadOnlyList<Value> inputs, params (string Name, object Value)[] attributes) =>
        Nodes(op, inputs, 1, "", attributes)[0];

    /// <summary>The one output of a new node whose operator is ONNX Runtime's own.</summary>
    /// <inheritdoc cref="Node"/>
    public Value Microsoft(string op, IReadOnlyList<Value> inputs, params (string Name, object Value)[] attributes) =>
        Nodes(op, inputs, 1, MicrosoftDomain, attributes)[0];

    /// <summary>What stands for an input that is left out.</summary>
    public Value None => new(this, "");

    /// <summary>The outputs of a new node.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="inputs">Its inputs in order.</param>
    /// <param name="outputs">How many outputs it has.</param>
    /// <param name="domain">The operator set; empty for the standard's.</param>
    /// <param name="attributes">A number, a text, a list of integers or a graph by name.</param>
    public Value[] Nodes(
        string op, IReadOnlyList<Value> inputs, int outputs, string domain, params (string Name, object Value)[] attributes)
    {
        var node = new NodeProto { Name = $"{Scope}/{op}_{Graph.Node.Count}", OpType = op };
        if (domain.Length > 0) node.Domain = domain;
        node.Input.Add(inputs.Select(input => input.Name));
        node.Attribute.Add(attributes.Select(attribute => Attribute(attribute.Name, attribute.Value)));
        Value[] values = [.. Enumerable.Range(0, outputs).Select(output => new Value(this, $"{node.Name}_output_{output}"))];
        node.Output.Add(values.Select(value => value.Name));
        Graph.Node.Add(node);
        return values;
    }

    /// <summary>ONNX's number for a type.</summary>
    public static TensorProto.Types.DataType TypeOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => TensorProto.Types.DataType.Float,
        ScalarType.Float64 => TensorProto.Types.DataType.Double,
        ScalarType.Int32 => TensorProto.Types.DataType.Int32,
        ScalarType.Int64 => TensorProto.Types.DataType.Int64,
        ScalarType.Byte => TensorProto.Types.DataType.Uint8,
        ScalarType.Bool => TensorProto.Types.DataType.Bool,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no graph has such a tensor"),
    };

    private Value Constant(string key, Func<Tensor> make)
    {
        if (!constants.TryGetValue(key, out var value))
            constants[key] = value = Initializer($"{Graph.Name}/constant_{constants.Count}", make());
        return value;
    }

    // Without axes the shape is left open, which is not that of a number.
    private static ValueInfoProto Info(string value, ScalarType type, Axis[] shape)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)TypeOf(type) };
        if (shape.Length > 0) tensor.Shape = new TensorShapeProto { Dim = { shape.Select(axis => axis.ToDimension()) } };
        return new ValueInfoProto { Name = value, Type = new TypeProto { TensorType = tensor } };
    }

    private static AttributeProto Attribute(string name, object value)
    {
        var attribute = new AttributeProto { Name = name };
        switch (value)
        {
            case long number:
                (attribute.Type, attribute.I) = (AttributeProto.Types.AttributeType.Int, number);
                break;
            case float number:
                (attribute.Type, attribute.F) = (AttributeProto.Types.AttributeType.Float, number);
                break;
            case string text:
                (attribute.Type, attribute.S) = (AttributeProto.Types.AttributeType.String, ByteString.CopyFromUtf8(text));
                break;
            case long[] numbers:
                attribute.Type = AttributeProto.Types.AttributeType.Ints;
                attribute.Ints.Add(numbers);
                break;
            case GraphProto body:
                (attribute.Type, attribute.G) = (AttributeProto.Types.AttributeType.Graph, body);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(value), value, "no attribute is of this type");
        }
        return attribute;
    }
}
