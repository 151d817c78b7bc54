using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Formats.Gguf;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats.Gguf;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Metadata_of_every_kind_comes_back()
    {
        KeyValuePair<string, object>[] metadata =
        [
            new("a.number", 7u), new("a.signed.number", -7), new("a.float", 1e-5f), new("a.flag", true),
            new("a.text", "Grüße \u2581 💡"), new("nothing", ""),
            new("numbers", new[] { 1, -2, 3 }), new("floats", new[] { 0.5f, float.NegativeInfinity }),
            new("texts", new[] { "", "a", "é" }), new("none", Array.Empty<string>()),
        ];
        using var file = Written(metadata, []);
        Assert.Equal(metadata.ToDictionary(), file.Metadata);
        Assert.Empty(file.Names);
    }

    [Fact]
    public void Tensors_of_plain_numbers_come_back_bit_for_bit()
    {
        random.manual_seed(1337);
        (string Name, Tensor Value, GgufTensorType Type)[] tensors =
        [
            ("scalar", randn(1), GgufTensorType.F32), ("row", randn(5), GgufTensorType.F32), ("matrix", randn(3, 7), GgufTensorType.F32),
            ("half", randn(7, 2, 3).to(float16), GgufTensorType.F16),
        ];
        using var file = Written([], tensors);
        Assert.Equal(tensors.Select(tensor => tensor.Name), file.Names);
        foreach (var (name, value, type) in tensors)
        {
            Assert.Equal(type.Name, file.Type(name));
            TensorAssert.Same(value, file.Read(name), name);
        }
    }

    // 300 x 1024 numbers: more blocks than are processed at once.
    [Theory]
    [InlineData("Q8_0", 0.5 / 127)]
    [InlineData("Q4_0", 1.0 / 8)]
    public void Quantised_tensors_come_back_as_their_blocks_say(string name, double share)
    {
        random.manual_seed(1337);
        var type = name == "Q8_0" ? GgufTensorType.Q8_0 : GgufTensorType.Q4_0;
        var value = rand(300, 1024) - 0.5;
        using var file = Written(
            [], [("before", ones(3), GgufTensorType.F32), ("matrix", value, type), ("behind", ones(3), GgufTensorType.F32)]);
        Assert.Equal(name, file.Type("matrix"));
        Near.Equal(value, file.Read("matrix"), 0.5 * (share + 1.0 / 2048), name);
        TensorAssert.Same(ones(3), file.Read("behind"));
    }

    private GgufFile Written(KeyValuePair<string, object>[] metadata, (string Name, Tensor Value, GgufTensorType Type)[] tensors)
    {
        GgufWriter.Write(folder["a.gguf"], metadata, [.. tensors.Select(tensor => (tensor.Value.ToStored(tensor.Name), tensor.Type))]);
        return GgufFile.Open(folder["a.gguf"]);
    }
}
