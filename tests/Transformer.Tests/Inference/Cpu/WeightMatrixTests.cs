using System.Runtime.Intrinsics;
using Transformer.Distributed;
using Transformer.Inference.Cpu;
using Transformer.Numerics;

namespace Transformer.Tests.Inference.Cpu;

// N tokens · I inputs · O outputs

public sealed unsafe class WeightMatrixTests
{
    // Whole vectors, blocks and groups, and what is left over of each.
    public static TheoryData<WeightFormat, int, int> Shapes =>
        new(from format in Enum.GetValues<WeightFormat>()
            from outputs in (int[])[1, 4, 11]
            from inputs in (int[])[5, 32, 100, 288,
            512]
            select (format, outputs, inputs));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Products_are_the_sums_of_the_products_of_weights_and_inputs(WeightFormat format, int outputs, int inputs)
    {
        using var matrix = Matrix(format, outputs, inputs);
        var row = stackalloc float[inputs];
        foreach (var tokens in (int[])[1, 2, 3, 5, 70])
        {
            using var x = Inputs(tokens, inputs);
            using var y = new Activations(tokens, outputs + 1);
            matrix.Multiply(x, tokens, 0, outputs, y.Values, y.Width);
            for (var token = 0; token < tokens; token++)
            {
                for (var output = 0; output < outputs; output++)
                {
                    matrix.Read(output, row);
                    var (sum, size) = (0.0, 0.0);
                    for (var i = 0; i < inputs; i++)
                    {
                        var product = row[i] * (double)(matrix.TakesQuantized ? x.Quants(token)[i] * x.Scales(token)[i / 32]
                            : x.Row(token)[i]);
                        (sum, size) = (sum + product, size + Math.Abs(product));
                    }
                    Near.Equal(sum, y.Row(token)[output], 1e-5 * size + 1e-6, $"{tokens} tokens: token {token}, output {output}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_token_gives_the_same_bits_whoever_stands_beside_it_and_whoever_does_which_rows(
        WeightFormat format, int outputs, int inputs)
    {
        using var matrix = Matrix(format, outputs, inputs);
        using var many = Inputs(70, inputs);
        using var one = new Activations(1, inputs);
        using var together = new Activations(70, outputs);
        using var alone = new Activations(1, outputs);
        var half = outputs / QuantizedBlocks.Rows * QuantizedBlocks.Rows;
        matrix.Multiply(many, 70, 0, half, together.Values, outputs);
        matrix.Multiply(many, 70, half, outputs, together.Values, outputs);
        foreach (var token in (int[])[0, 1, 2, 48, 64, 69])
        {
            new ReadOnlySpan<float>(many.Row(token), inputs).CopyTo(new Span<float>(one.Values, inputs));
            one.Quantize(0);
            matrix.Multiply(one, 1, 0, outputs, alone.Values, outputs);
            Assert.Equal(
                new ReadOnlySpan<float>(alone.Values, outputs).ToArray(), new ReadOnlySpan<float>(together.Row(token), outputs).ToArray());
        }
    }

    [Theory]
    [InlineData(WeightFormat.Q8)]
    [InlineData(WeightFormat.Q4)]
    public void Packed_blocks_hold_the_numbers_of_the_file_format(WeightFormat format)
    {
        var weights = new float[64];
        for (var i = 0; i < 64; i++) weights[i] = MathF.Sin(i * i);
        var blocks = format == WeightFormat.Q8 ? Transformer.Quantization.Q8_0.Format : Transformer.Quantization.Q4_0.Format;
        var (bytes, expected, found) = (new byte[blocks.BytesOf(64)], new float[64], new float[64]);
        blocks.Quantize(weights, bytes);
        blocks.Dequantize(bytes, expected);
        fixed (float* w = weights, f = found)
        {
            using var packed = MatrixPacking.Pack(new FloatMatrix<Float32Element>((byte*)w, 1, 64), format);
            packed.Read(0, f);
        }
        Assert.Equal(expected, found);
    }

    [Fact]
    public void Integer_dots_are_exact_on_this_processor_and_on_any()
    {
        var random = new Random(1);
        for (var trial = 0; trial < 100; trial++)
        {
            var (w, x) = (new byte[32], new sbyte[32]);
            random.NextBytes(w);
            for (var i = 0; i < 32; i++) x[i] = (sbyte)random.Next(-127, 128);
            if (trial == 0) (w, x) = ([.. Enumerable.Repeat((byte)255, 32)], [.. Enumerable.Repeat((sbyte)-127, 32)]);
            var sums = Vector256.Create(1, 2, 3, 4, 5, 6, 7, -1_000_000);
            var expected = Enumerable.Range(0, 8).Select(lane => sums[lane] + Enumerable.Range(4 * lane, 4).Sum(i => w[i] * x[i]));
            Assert.Equal(Vector256.Create([.. expected]), IntegerDot.Add(sums, Vector256.Create(w), Vector256.Create(x)));
            Assert.Equal(Vector256.Create([.. expected]), IntegerDot.Portable(sums, Vector256.Create(w), Vector256.Create(x)));
        }
    }

    [Fact]
    public void Finite_halves_become_the_same_singles()
    {
        for (var bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var half = BitConverter.UInt16BitsToHalf((ushort)bits);
            if (Half.IsFinite(half)) Assert.Equal((float)half, HalfPrecision.ToSingle(Vector128.Create((ushort)bits))[0]);
        }
    }

    [Fact]
    public void Quantised_inputs_are_within_half_a_step_and_a_block_of_zeros_stays_zero()
    {
        using var x = Inputs(2, 70);
        new Span<float>(x.Row(1), 32).Clear();
        for (var token = 0; token < 2; token++) x.Quantize(token);
        for (var token = 0; token < 2; token++)
        {
            for (var i = 0; i < 70; i++)
                Near.Equal(x.Row(token)[i], x.Quants(token)[i] * x.Scales(token)[i / 32], 0.5001 * x.Scales(token)[i / 32] + 1e-12);
            for (var block = 0; block < 3; block++)
                Assert.Equal(Enumerable.Range(32 * block, 32).Sum(i => x.Quants(token)[i]), x.Sums(token)[block]);
        }
        Assert.Equal(0, x.Scales(1)[0]);
    }

    private static Activations Inputs(int tokens, int width)
    {
        var x = new Activations(tokens, width);
        var random = new Random(tokens + width);
        for (var i = 0; i < tokens * width; i++) x.Values[i] = (float)(random.NextDouble() - 0.5) * (1 + i % 7);
        for (var token = 0; token < tokens; token++) x.Quantize(token);
        return x;
    }

    private static WeightMatrix Matrix(WeightFormat format, int outputs, int inputs)
    {
        var numbers = new NativeArray<float>((long)outputs * inputs);
        var random = new Random(outputs * inputs);
        for (var i = 0; i < numbers.Length; i++) numbers.Pointer[i] = (float)(random.NextDouble() - 0.5);
        return MatrixPacking.Pack(new FloatMatrix<Float32Element>((byte*)numbers.Pointer, outputs, inputs, numbers), format);
    }
}
