using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    public static TheoryData<string> Goldens()
    {
        var root = Path.Combine(AppContext.BaseDirectory, "Goldens");
        return [.. Directory.EnumerateFiles(root, "*.safetensors", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(root, file)).Where(file => !file.StartsWith("faults", StringComparison.Ordinal)).Order()];
    }

    [Theory, MemberData(nameof(Goldens))]
    public void Files_of_the_reference_writer_come_back_byte_for_byte(string golden)
    {
        var source = Path.Combine(AppContext.BaseDirectory, "Goldens", golden);
        var copy = folder["copy.safetensors"];
        using var file = SafetensorsFile.Open(source);
        SafetensorsWriter.Write(copy, file.Names.Reverse().Select(file.Tensor), file.Metadata);
        Assert.Equal(File.ReadAllBytes(source), File.ReadAllBytes(copy));
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void Every_type_and_shape_comes_back(ScalarType type)
    {
        (string Name, Tensor Value)[] tensors =
        [
            ("matrix", arange(6).reshape(2, 3).to(type)),
            ("scalar", tensor(1).to(type)),
            ("empty", empty(3, 0, dtype: type)),
            ("transposed é", arange(6).reshape(2, 3).to(type).t()),
        ];
        var path = folder["types.safetensors"];
        SafetensorsWriter.Write(path, tensors.ToStored());
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(tensors.Length, file.Names.Count());
        foreach (var (name, value) in tensors)
        {
            Assert.Equal(value.shape, file.Shape(name));
            Assert.Equal(type, file.Type(name).ToScalarType());
            TensorAssert.Same(value, file.Read(name), name);
        }
    }

    [Fact]
    public void Every_tensor_lies_on_a_boundary_of_its_element_size()
    {
        var path = folder["mixed.safetensors"];
        SafetensorsWriter.Write(path, [ones(3, dtype: uint8).ToStored("a"), ones(3, dtype: float16).ToStored("b"), ones(3)
            .ToStored("c"), ones(1, dtype: int64).ToStored("d")]);
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(["d", "c", "b", "a"], file.Names);
        Assert.Equal(0, BitConverter.ToInt64(File.ReadAllBytes(path)) % 8);
    }

    [Fact]
    public void Reading_into_a_parameter_keeps_the_parameter_and_converts_the_type()
    {
        var path = folder["half.safetensors"];
        SafetensorsWriter.Write(path, [arange(6, dtype: float16).reshape(2, 3).ToStored("weight")]);
        var parameter = nn.Parameter(zeros(2, 3));
        var strided = zeros(3, 2, dtype: float16).t();
        using var file = SafetensorsFile.Open(path);
        file.ReadInto("weight", parameter);
        file.ReadInto("weight", strided);
        Assert.True(parameter.requires_grad && parameter.is_leaf);
        Assert.Equal([0, 1, 2, 3, 4, 5], parameter.data<float>());
        TensorAssert.Same(file.Read("weight"), strided);
    }

    [Fact]
    public void Another_shape_is_refused()
    {
        var path = folder["one.safetensors"];
        SafetensorsWriter.Write(path, [zeros(6).ToStored("weight")]);
        using var file = SafetensorsFile.Open(path);
        var error = Assert.Throws<InputException>(() => file.ReadInto("weight", zeros(2, 3)));
        Assert.Contains("weight has shape [6], expected [2, 3]", error.Message);
        Assert.Contains("no tensor bias", Assert.Throws<InputException>(() => file.Read("bias")).Message);
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_nothing_beside_it()
    {
        var path = folder["kept.txt"];
        File.WriteAllText(path, "old");
        var error = Assert.Throws<InputException>(() => DurableFile.Write(path, stream =>
        {
            stream.WriteByte(1);
            throw new IOException("No space left on device");
        }));
        Assert.Contains("No space left on device", error.Message);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_folder_that_does_not_exist_is_named() =>
        Assert.Contains(
            "nowhere", Assert.Throws<InputException>(() => SafetensorsWriter.Write(folder["nowhere/x.safetensors"], [])).Message);

    [Fact]
    public void A_name_given_twice_is_a_fault_of_the_caller() =>
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(folder["x"], [zeros(1).ToStored("a"), zeros(1).ToStored("a")]));
}
