using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// C inputs · N outputs

/// <summary>
/// The weights of a model as a graph takes them, by the model's own names. Whatever no layer has asked for was not understood.
/// </summary>
/// <param name="graph">The graph that reads them.</param>
/// <param name="weights">By name.</param>
/// <param name="precision">How matrices are kept.</param>
internal sealed class GraphWeights(GraphBuilder graph, IReadOnlyDictionary<string, Tensor> weights, OnnxPrecision precision)
{
    private const string Embedding = "model.embed_tokens.weight", Head = "lm_head.weight";

    // MatMulNBits rounds what it multiplies to 8 bits a number with a scale a block, too: processors have instructions for such products.
    private const long EightBitProducts = 4;

    private readonly HashSet<string> taken = [];

    public bool Has(string name) => weights.ContainsKey(name);

    /// <summary>A weight's numbers, fp32 on the CPU.</summary>
    /// <exception cref="InputException">There is none of this name.</exception>
    public Tensor Numbers(string name)
    {
        if (!weights.TryGetValue(name, out var value)) throw new InputException($"{name}: missing among the model's weights");
        taken.Add(name);
        return value.detach().to(ScalarType.Float32).cpu();
    }

    /// <summary>A weight as it is.</summary>
    public Value Tensor(string name) => graph.Initializer(name, Numbers(name));

    /// <summary>x W^T + b, the bias where there is one.</summary>
    /// <param name="x">[..., C]</param>
    /// <param name="name">The module's name: its weight is [N, C].</param>
    /// <returns>[..., N]</returns>
    public Value Linear(Value x, string name)
    {
        var matrix = Numbers($"{name}.weight");
        var y = precision != OnnxPrecision.F32 && MatMulNBitsWeight.Suits(matrix)
            ? Blocks(x, name, matrix, precision == OnnxPrecision.Q4 ? 4 : 8)
            : x.MatMul(graph.Initializer($"{name}.weight.transposed", matrix.t()));
        return Has($"{name}.bias") ? y + Tensor($"{name}.bias") : y;
    }

    /// <summary>The logits: a head of its own, or the embedding, which is then in the file once unless the head is quantised.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="tied">Whether the head is the embedding.</param>
    /// <returns>[B, T, V]</returns>
    public Value Logits(Value x, bool tied)
    {
        var matrix = Numbers(tied ? Embedding : Head);
        if (precision != OnnxPrecision.F32 && MatMulNBitsWeight.Suits(matrix)) return Blocks(x, "lm_head", matrix, bits: 8);
        return x.MatMul(tied ? Tensor(Embedding).Transpose(1, 0) : graph.Initializer($"{Head}.transposed", matrix.t()));
    }

    /// <summary>Refuses a model of which the graph has left something out.</summary>
    /// <exception cref="InputException">A weight was asked for by no layer.</exception>
    public void CheckAllTaken()
    {
        if (weights.Keys.Except(taken).FirstOrDefault() is { } left)
        {
            throw new InputException(
                $"{left}: no ONNX graph is known for the part of the model that has this weight. Save the model in another format.");
        }
    }

    private Value Blocks(Value x, string name, Tensor matrix, int bits)
    {
        var quantized = MatMulNBitsWeight.Of(matrix, bits);
        return graph.Microsoft(
            "MatMulNBits",
            [
                x, graph.Initializer($"{name}.weight.q{bits}", quantized.Packed),
                graph.Initializer($"{name}.weight.scales", quantized.Scales),
            ],
            ("N", matrix.shape[0]), ("K", matrix.shape[1]), ("bits", (long)bits), ("block_size", (long)MatMulNBitsWeight.BlockLength),
            ("accuracy_level", EightBitProducts));
    }
}
