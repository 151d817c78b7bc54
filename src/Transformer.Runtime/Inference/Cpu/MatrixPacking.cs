using Transformer.Numerics;
using Transformer.Quantization;

namespace Transformer.Inference.Cpu;

// I inputs · O outputs

/// <summary>Converts a matrix to another format, its rows distributed over the processor's cores.</summary>
internal static unsafe class MatrixPacking
{
    /// <summary>The matrix in the format; the matrix itself where it has that format.</summary>
    public static WeightMatrix Pack(WeightMatrix matrix, WeightFormat format) => format switch
    {
        WeightFormat.AsIs => matrix,
        WeightFormat.BFloat16 => ToHalves<BFloat16Element>(matrix),
        WeightFormat.Half => ToHalves<Float16Element>(matrix),
        WeightFormat.Q8 => ToBlocks(matrix, new QuantizedMatrix<Int8Numbers>(matrix.Outputs, matrix.Inputs), Q8_0.Format, Signed),
        WeightFormat.Q4 => ToBlocks(matrix, new QuantizedMatrix<Int4Numbers>(matrix.Outputs, matrix.Inputs), Q4_0.Format, Nibbles),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "no such format"),
    };

    private static FloatMatrix<TElement> ToHalves<TElement>(WeightMatrix matrix) where TElement : struct, IWeightElement
    {
        var numbers = new NativeArray<ushort>((long)matrix.Outputs * matrix.Inputs);
        EachRow(matrix, (output, row) =>
        {
            var to = (byte*)(numbers.Pointer + (long)output * matrix.Inputs);
            for (var i = 0; i < matrix.Inputs; i++) TElement.Store(row[i], to, i);
        });
        return new((byte*)numbers.Pointer, matrix.Outputs, matrix.Inputs, numbers);
    }

    private delegate void BlockNumbers(ReadOnlySpan<byte> block, Span<byte> biased);

    private static QuantizedMatrix<TNumbers> ToBlocks<TNumbers>(
        WeightMatrix matrix, QuantizedMatrix<TNumbers> packed, BlockFormat format,
        BlockNumbers numbers) where TNumbers : struct, IQuantizedNumbers
    {
        EachRow(matrix, (output, row) =>
        {
            Span<byte> block = stackalloc byte[format.Bytes];
            Span<byte> biased = stackalloc byte[QuantizedBlocks.Length];
            for (var i = 0; i < matrix.Inputs; i += QuantizedBlocks.Length)
            {
                format.Quantize(row.AsSpan(i, QuantizedBlocks.Length), block);
                numbers(block[2..], biased);
                packed.Write(
                    output, i / QuantizedBlocks.Length, System.Buffers.Binary.BinaryPrimitives.ReadHalfLittleEndian(block), biased);
            }
        });
        return packed;
    }

    // Rows are padded with zeros to whole blocks.
    private static void EachRow(WeightMatrix matrix, Action<int, float[]> visit) => Parallel.For(
        0, matrix.Outputs,
        () => new float[(matrix.Inputs + QuantizedBlocks.Length - 1) / QuantizedBlocks.Length * QuantizedBlocks.Length],
        (output, _, row) =>
        {
            fixed (float* numbers = row) matrix.Read(output, numbers);
            visit(output, row);
            return row;
        },
        _ => { });

    private static void Signed(ReadOnlySpan<byte> block, Span<byte> biased)
    {
        for (var i = 0; i < biased.Length; i++) biased[i] = (byte)(block[i] ^ 0x80);
    }

    private static void Nibbles(ReadOnlySpan<byte> block, Span<byte> biased)
    {
        for (var i = 0; i < block.Length; i++) (biased[i], biased[i + block.Length]) = ((byte)(block[i] & 15), (byte)(block[i] >> 4));
    }
}
