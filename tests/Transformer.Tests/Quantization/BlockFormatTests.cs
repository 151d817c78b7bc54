using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Transformer.Quantization;

namespace Transformer.Tests.Quantization;

public sealed class BlockFormatTests
{
    public static TheoryData<string> Written => ["Q8_0", "Q4_0"];

    [Theory]
    [InlineData("Q8_0", 32, 34)]
    [InlineData("Q4_0", 32, 18)]
    [InlineData("Q4_1", 32, 20)]
    [InlineData("Q5_0", 32, 22)]
    [InlineData("Q5_1", 32, 24)]
    [InlineData("Q2_K", 256, 84)]
    [InlineData("Q3_K", 256, 110)]
    [InlineData("Q4_K", 256, 144)]
    [InlineData("Q5_K", 256, 176)]
    [InlineData("Q6_K", 256, 210)]
    public void A_format_has_the_length_and_the_bytes_of_ggml(string name, int length, int bytes)
    {
        var format = Format(name);
        Assert.Equal((name, length, bytes), (format.Name, format.Length, format.Bytes));
        Assert.Equal(7 * bytes, format.BytesOf(7 * length));
        Assert.Throws<ArgumentException>(() => format.Dequantize(new byte[bytes - 1], new float[length]));
        Assert.Throws<ArgumentException>(() => format.Dequantize(new byte[bytes], new float[2 * length]));
    }

    // Half a step of 1/127 of the greatest, one of 1/8 (7 steps must reach where 8 would), each with the rounding of the scale to 11 bits
    // or, where it is below 2^-14, to a multiple of 2^-24.
    [Theory]
    [InlineData("Q8_0", 127, 0.5)]
    [InlineData("Q4_0", 8, 1)]
    public void A_number_moves_by_no_more_than_the_formats_step(string name, int steps, double moved)
    {
        var (format, random) = (Format(name), new Random(1337));
        for (var trial = 0; trial < 2000; trial++)
        {
            var deviation = Math.Pow(10, random.Next(-3, 3));
            float[] numbers = [
                .. Enumerable.Range(0, 32).Select(_ => (float)(deviation * (random.NextDouble() + random.NextDouble() - 1)))];
            var allowed = (moved / steps + 1.0 / 2048) * numbers.Max(Math.Abs) + steps * Math.ScaleB(1, -25);
            foreach (var (before, after) in numbers.Zip(Again(format, numbers)))
                Near.Equal(before, after, allowed, $"{name}, trial {trial}");
        }
    }

    [Theory]
    [MemberData(nameof(Written))]
    public void What_was_quantised_once_stays_as_it_is(string name)
    {
        var (format, random) = (Format(name), new Random(7));
        float[] numbers = [.. Enumerable.Range(0, 3200).Select(_ => random.NextSingle() - 0.4f)];
        var once = Again(format, numbers);
        foreach (var (first, second) in once.Zip(Again(format, once))) Near.Equal(first, second, 1e-6, name);
        Assert.All(Again(format, new float[64]), number => Assert.Equal(0, number));
    }

    [Fact]
    public void Q8_0_puts_the_scale_first_and_then_the_integers_in_order()
    {
        var block = Quantized(Q8_0.Format, [.. Enumerable.Range(0, 32).Select(i => i == 5 ? -63.5f : i * 0.5f)]);
        Assert.Equal(0.5f, (float)BinaryPrimitives.ReadHalfLittleEndian(block));
        for (var i = 0; i < 32; i++) Assert.Equal(i == 5 ? -127 : i, (sbyte)block[2 + i]);
    }

    [Fact]
    public void Q4_0_puts_the_first_half_into_the_low_bits_and_the_second_into_the_high_ones()
    {
        var block = Quantized(Q4_0.Format, [.. Enumerable.Range(0, 32).Select(i => i == 20 ? 4f : (i % 15 - 7) * -0.5f)]);
        Assert.Equal(-0.5f, (float)BinaryPrimitives.ReadHalfLittleEndian(block));
        for (var i = 0; i < 16; i++)
        {
            Assert.Equal(i % 15 + 1, block[2 + i] & 15);
            Assert.Equal(i == 4 ? 0 : (i + 16) % 15 + 1, block[2 + i] >> 4);
        }
    }

    public static TheoryData<string> Known => [.. GgmlBlocks.Select(pair => pair.Key)];

    private static JsonObject GgmlBlocks { get; } = JsonNode.Parse(File.ReadAllBytes(Golden.PathOf("gguf/blocks.json")))!.AsObject();

    [Theory, MemberData(nameof(Known))]
    public void Blocks_of_ggml_are_read_as_its_numbers_bit_for_bit(string name)
    {
        var (bytes, expected) = (Bytes("bytes"), Bytes("numbers"));
        var numbers = new float[expected.Length / sizeof(float)];
        Format(name).Dequantize(bytes, numbers);
        Assert.Equal(MemoryMarshal.Cast<byte, float>(expected).ToArray(), numbers);

        byte[] Bytes(string key) => Convert.FromBase64String((string)GgmlBlocks[name]![key]!);
    }

    [Fact]
    public void Formats_that_are_only_read_say_so() =>
        Assert.Contains(
            "Q4_K is read", Assert.Throws<NotSupportedException>(() => Q4_K.Format.Quantize(new float[256], new byte[144])).Message);

    private static float[] Again(BlockFormat format, float[] numbers)
    {
        var result = new float[numbers.Length];
        format.Dequantize(Quantized(format, numbers), result);
        return result;
    }

    private static byte[] Quantized(BlockFormat format, float[] numbers)
    {
        var blocks = new byte[format.BytesOf(numbers.Length)];
        format.Quantize(numbers, blocks);
        return blocks;
    }

    private static BlockFormat Format(string name) =>
        new[]
        {
            Q8_0.Format, Q4_0.Format, Q4_1.Format, Q5_0.Format, Q5_1.Format,
            Q2_K.Format, Q3_K.Format, Q4_K.Format, Q5_K.Format, Q6_K.Format,
        }.Single(format => format.Name == name);
}
