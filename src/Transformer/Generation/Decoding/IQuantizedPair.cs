using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Generation.Decoding;

/// <summary>How two neighbouring blocks of 32 quantised weights lie in memory: as numbers from 0 on, which stand for those a bias lower.</summary>
internal unsafe interface IQuantizedPair
{
    /// <summary>The bytes of a pair, scales not counted.</summary>
    static abstract int Bytes { get; }

    /// <summary>What every number is too high by.</summary>
    static abstract int Bias { get; }

    /// <summary>The numbers of both blocks.</summary>
    static abstract (Vector256<byte> First, Vector256<byte> Second) Load(byte* pair);

    /// <summary>Puts number i of 64, those of the first block before those of the second, into memory that was zero.</summary>
    static abstract void Store(byte value, byte* pair, int i);

    /// <summary>Number i of 64.</summary>
    static abstract byte Number(byte* pair, int i);
}

/// <summary>8 bits: 64 bytes.</summary>
internal readonly unsafe struct Int8Pair : IQuantizedPair
{
    public static int Bytes => 64;

    public static int Bias => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<byte> First, Vector256<byte> Second) Load(byte* pair) => (Vector256.Load(pair), Vector256.Load(pair + 32));

    public static void Store(byte value, byte* pair, int i) => pair[i] = value;

    public static byte Number(byte* pair, int i) => pair[i];
}

/// <summary>4 bits: 32 bytes, whose lower halves are the first block and whose upper halves the second, so that one load serves both.</summary>
internal readonly unsafe struct Int4Pair : IQuantizedPair
{
    public static int Bytes => 32;

    public static int Bias => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<byte> First, Vector256<byte> Second) Load(byte* pair)
    {
        var both = Vector256.Load(pair);
        var lower = Vector256.Create((byte)0x0F);
        return (both & lower, (both.AsUInt16() >> 4).AsByte() & lower);
    }

    public static void Store(byte value, byte* pair, int i) => pair[i % 32] |= (byte)(i < 32 ? value : value << 4);

    public static byte Number(byte* pair, int i) => (byte)(i < 32 ? pair[i] & 0x0F : pair[i - 32] >> 4);
}
