using Google.Protobuf;
using Transformer.Configuration;
using Transformer.Native;
using Transformer.Onnx;
using Transformer.Onnx.Format;
using Transformer.Tests.Formats;
using static Transformer.Tests.Onnx.OnnxCases;

namespace Transformer.Tests.Onnx;

/// <summary>Model files that were changed. What reads them is ONNX Runtime; what it says is passed on, and nothing else happens.</summary>
public sealed class OnnxFuzzTests : IDisposable
{
    private const int Inputs = 300;
    private const long MostMemory = 200L << 20;    // ONNX Runtime's own, for a model of some thousand numbers

    private readonly TemporaryFolder folder = new();

    private string ModelPath => folder["onnx/model.onnx"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Any_change_of_a_file_is_refused_or_read()
    {
        Write();
        var valid = File.ReadAllBytes(ModelPath);
        var (random, accepted) = (new Random(1337), 0);
        for (var input = 0; input < Inputs; input++)
        {
            var bytes = HeaderFuzzTests.Mutated(valid, random);
            if (input % 3 == 0) bytes = bytes[..random.Next(bytes.Length)];
            File.WriteAllBytes(ModelPath, bytes);
            if (IsRead()) accepted++;
        }
        Assert.InRange(accepted, 1, Inputs - 1);
    }

    [Theory]
    [InlineData("cycle")]
    [InlineData("missing tensor")]
    [InlineData("dimensions that overflow")]
    [InlineData("dimensions of an exabyte")]
    [InlineData("dimensions below zero")]
    [InlineData("fewer bytes than the shape")]
    [InlineData("bytes of another file")]
    [InlineData("an offset past the end")]
    [InlineData("unknown operator")]
    public void A_graph_that_is_none_is_refused(string what)
    {
        Write();
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(ModelPath));
        var weight = model.Graph.Initializer.First(tensor => tensor.Dims.Count == 2);
        switch (what)
        {
            case "cycle": model.Graph.Node[0].Input[0] = model.Graph.Node[^1].Output[0]; break;
            case "missing tensor": model.Graph.Initializer.Remove(weight); break;
            case "dimensions that overflow": (weight.Dims[0], weight.Dims[1]) = (1L << 40, 1L << 40); break;
            case "dimensions of an exabyte": (weight.Dims[0], weight.Dims[1]) = (1L << 30, 1L << 28); break;
            case "dimensions below zero": weight.Dims[0] = -weight.Dims[0]; break;
            case "fewer bytes than the shape": weight.RawData = ByteString.CopyFrom(weight.RawData.Span[..^4]); break;
            case "bytes of another file": External(weight, "../../../../../etc/hostname", "0"); break;
            case "an offset past the end": External(weight, "model.onnx", $"{long.MaxValue - 8}"); break;
            default: model.Graph.Node[0].OpType = "RunProgram"; break;
        }
        File.WriteAllBytes(ModelPath, model.ToByteArray());
        Assert.False(IsRead(), "it was read");
        Assert.InRange(ProcessMemory.PeakOf(() => IsRead()) ?? 0, 0, MostMemory);
    }

    private static void External(TensorProto weight, string location, string offset)
    {
        weight.ClearRawData();
        weight.DataLocation = TensorProto.Types.DataLocation.External;
        weight.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
        weight.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = offset });
    }

    private void Write()
    {
        using var model = ModelOf("rope");
        OnnxFolder.Write(folder.Path, model.Config, model.Weights);
    }

    // A pass, too: some of what is wrong shows only there.
    private bool IsRead()
    {
        try
        {
            using var onnx = OnnxInferenceModel.Open(folder.Path, threads: 1);
            using var state = onnx.NewState(1);
            Read(onnx, state, Tokens(3, 1));
            return true;
        }
        catch (InputException)
        {
            return false;
        }
    }
}
