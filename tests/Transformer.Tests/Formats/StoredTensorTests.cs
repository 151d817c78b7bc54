using Transformer.Checkpoints;
using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats;

/// <summary>Stored tensors against libtorch's: the same bits, whatever the type and the layout.</summary>
public sealed class StoredTensorTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly IDisposable scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    public static TheoryData<ElementType> Types => [.. Enum.GetValues<ElementType>()];

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_type_becomes_the_singles_that_libtorch_makes(ElementType type)
    {
        var numbers = arange(-100, 100).to(type.ToScalarType());
        Assert.Equal(numbers.to(float32).data<float>().ToArray(), numbers.ToStored("x").ToFloat32());
    }

    [Theory]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.BF16)]
    public void Singles_are_rounded_as_libtorch_rounds_them(ElementType type)
    {
        random.manual_seed(1337);
        var numbers = cat([randn(1000) * pow(10, randint(-9, 9, 1000)), tensor(
            new[] { 0f, -0f, 65519f, 65520f, float.PositiveInfinity, 1e-8f, 1.00390625f })]);
        var bytes = new byte[numbers.numel() * type.Size()];
        Assert.Equal(bytes.Length, ElementConversion.FromSingles(type, numbers.data<float>().ToArray(), bytes));
        Assert.Equal(numbers.to(type.ToScalarType()).bytes.ToArray(), bytes);
    }

    [Theory]
    [InlineData(ElementType.U8)]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.I64)]
    public void Layouts_are_those_of_libtorch(ElementType type)
    {
        var matrix = arange(0, 60 * 37).remainder(101).reshape(60, 37).to(type.ToScalarType());
        var stored = matrix.ToStored("x");
        TensorAssert.Same(matrix.t(), TensorLayout.Transposed(stored));
        TensorAssert.Same(matrix.flip(0), TensorLayout.Reordered(stored, row => 59 - row));
        TensorAssert.Same(cat([matrix, matrix[..3]]), TensorLayout.Joined("y", stored, matrix[..3].ToStored("z")));
        foreach (var (expected, part) in matrix.chunk(3).Zip(TensorLayout.Split(stored, 3))) TensorAssert.Same(expected, part);
    }

    [Fact]
    public void Pairs_side_by_side_come_half_a_head_apart_and_back()
    {
        var rows = arange(0, 2 * 6 * 3).reshape(12, 3);
        var halves = RotaryPairs.HalfSplit(rows.ToStored("q"), heads: 2);
        TensorAssert.Same(rows.view(2, 3, 2, 3).transpose(1, 2).reshape(12, 3), halves);
        TensorAssert.Same(rows, RotaryPairs.Adjacent(halves, heads: 2));
    }

    [Fact]
    public void Numbers_come_back_from_a_file_and_not_once_it_is_closed()
    {
        SafetensorsWriter.Write(folder["x.safetensors"], [MemoryTensor.Of<int>("x", [1, 2, 3, 4, 5, 6], 2, 3)]);
        var numbers = new int[6];
        MemoryTensor x;
        using (var file = SafetensorsFile.Open(folder["x.safetensors"]))
        {
            x = file.Tensor("x");
            x.CopyTo(numbers.AsSpan());
        }
        Assert.Equal([1, 2, 3, 4, 5, 6], numbers);
        Assert.Throws<ObjectDisposedException>(() => x.CopyTo(numbers.AsSpan()));
        Assert.Throws<ArgumentException>(() => x.CopyTo(new float[6].AsSpan()));
    }

    [Fact]
    public void A_shape_of_another_number_of_elements_is_refused() =>
        Assert.Throws<ArgumentException>(() => MemoryTensor.Of<float>("x", [1, 2, 3], 2, 2));
}
