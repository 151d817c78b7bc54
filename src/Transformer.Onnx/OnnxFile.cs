using Google.Protobuf;
using Transformer.Checkpoints;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Onnx.Format;
using Transformer.Onnx.Graph;
using static TorchSharp.torch;

namespace Transformer.Onnx;

/// <summary>Writes graphs as files. A protobuf message has at most 2 GiB, so the weights of larger models lie in a file beside.</summary>
internal static class OnnxFile
{
    /// <summary>How many bytes of weights a file holds itself.</summary>
    public const long InlineLimit = 2_000_000_000;

    /// <summary>What is added to a model's name for that of the file with its weights, as in Hugging Face's folders.</summary>
    public const string DataSuffix = "_data";

    // IR 8 and operator set 17 are what onnx 1.12 writes and later tools read.
    private const int IrVersion = 8, OperatorSet = 17;
    // shapes and the like stay in the graph, for tools that infer shapes; pages can be mapped
    private const int SmallTensor = 1024, Alignment = 4096;

    /// <summary>Writes a model and, where its weights are many, the file with them.</summary>
    /// <param name="path">The .onnx file; its folder is there.</param>
    /// <param name="graph">The graph and its weights.</param>
    /// <param name="metadata">What else the file says about the model.</param>
    /// <param name="inlineLimit">From how many bytes of weights on they lie in a file of their own.</param>
    public static void Write(
        string path, GraphBuilder graph, IReadOnlyDictionary<string, string> metadata, long inlineLimit = InlineLimit)
    {
        var model = new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = "Transformer",
            ProducerVersion = typeof(OnnxFile).Assembly.GetName().Version!.ToString(3),
            ModelVersion = 1,
            Graph = graph.Graph,
        };
        model.MetadataProps.Add(metadata.Select(entry => new StringStringEntryProto { Key = entry.Key, Value = entry.Value }));
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = OperatorSet });
        model.OpsetImport.Add(graph.Domains.Select(domain => new OperatorSetIdProto { Domain = domain, Version = 1 }));
        if (graph.Initializers.Values.Sum(Bytes) <= inlineLimit)
            model.Graph.Initializer.Add(graph.Initializers.Select(weight => Inline(weight.Key, weight.Value)));
        else DurableFile.Write(path + DataSuffix, data => model.Graph.Initializer.Add(
            graph.Initializers.Select(weight => External(weight.Key, weight.Value, data, Path.GetFileName(path)))));
        DurableFile.Write(path, model.WriteTo);
    }

    private static TensorProto Described(string name, Tensor value) =>
        new() { Name = name, DataType = (int)GraphBuilder.TypeOf(value.dtype), Dims = { value.shape } };

    private static TensorProto Inline(string name, Tensor value)
    {
        using var bytes = new MemoryStream((int)Bytes(value));
        Copy(value, bytes);
        var tensor = Described(name, value);
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(bytes.GetBuffer());
        return tensor;
    }

    private static TensorProto External(string name, Tensor value, Stream data, string model)
    {
        if (Bytes(value) <= SmallTensor) return Inline(name, value);
        data.Write(new byte[(Alignment - data.Position % Alignment) % Alignment]);
        var tensor = Described(name, value);
        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = model + DataSuffix });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{data.Position}" });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = $"{Bytes(value)}" });
        Copy(value, data);
        return tensor;
    }

    private static long Bytes(Tensor value) => value.numel() * value.element_size();

    private static void Copy(Tensor value, Stream stream)
    {
        using var scope = NewDisposeScope();
        TensorBytes.Visit(value.contiguous(), chunk => stream.Write(chunk));
    }
}
