using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Inference.Cpu;

/// <summary>
/// The format in memory of the numbers of eight rows' blocks of 32: eight vectors, each with four neighbouring numbers of every row.
/// Numbers are stored without sign, a bias being added to them.
/// </summary>
internal unsafe interface IQuantizedNumbers
{
    /// <summary>The bytes of eight blocks, scales not counted.</summary>
    static abstract int Bytes { get; }

    /// <summary>The bias that is added to every number.</summary>
    static abstract int Bias { get; }

    /// <summary>Vectors i and i + 4 of the eight.</summary>
    static abstract (Vector256<byte> First, Vector256<byte> Second) Load(byte* blocks, int i);

    /// <summary>Sets number i of a row's 32 in memory that is zero.</summary>
    static abstract void Store(byte value, byte* blocks, int row, int i);

    /// <summary>Number i of a row's 32.</summary>
    static abstract byte Number(byte* blocks, int row, int i);
}

/// <summary>8 bits: 256 bytes.</summary>
internal readonly unsafe struct Int8Numbers : IQuantizedNumbers
{
    public static int Bytes => 256;

    public static int Bias => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<byte> First, Vector256<byte> Second) Load(byte* blocks, int i) =>
        (Vector256.Load(blocks + 32 * i), Vector256.Load(blocks + 128 + 32 * i));

    public static void Store(byte value, byte* blocks, int row, int i) => blocks[i / 4 * 32 + row * 4 + i % 4] = value;

    public static byte Number(byte* blocks, int row, int i) => blocks[i / 4 * 32 + row * 4 + i % 4];
}

/// <summary>
/// 4 bits: 128 bytes, whose lower halves are the first four vectors and whose upper halves the others, so that one load serves both.
/// </summary>
internal readonly unsafe struct Int4Numbers : IQuantizedNumbers
{
    public static int Bytes => 128;

    public static int Bias => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<byte> First, Vector256<byte> Second) Load(byte* blocks, int i)
    {
        var both = Vector256.Load(blocks + 32 * i);
        var lower = Vector256.Create((byte)0x0F);
        return (both & lower, (both.AsUInt16() >> 4).AsByte() & lower);
    }

    public static void Store(byte value, byte* blocks, int row, int i) => blocks[At(row, i)] |= (byte)(i < 16 ? value : value << 4);

    public static byte Number(byte* blocks, int row, int i) => (byte)(i < 16 ? blocks[At(row, i)] & 0x0F : blocks[At(row, i)] >> 4);

    private static int At(int row, int i) => i % 16 / 4 * 32 + row * 4 + i % 4;
}
