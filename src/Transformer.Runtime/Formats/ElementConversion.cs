using System.Runtime.InteropServices;

namespace Transformer.Formats;

/// <summary>Elements of any type as single-precision numbers.</summary>
internal static class ElementConversion
{
    /// <summary>Converts all elements of a chunk, each rounded to the nearest single.</summary>
    public static void ToSingles(ElementType type, ReadOnlySpan<byte> elements, Span<float> singles)
    {
        switch (type)
        {
            case ElementType.F64: Convert<double>(elements, singles, static x => (float)x); break;
            case ElementType.F32: MemoryMarshal.Cast<byte, float>(elements).CopyTo(singles); break;
            case ElementType.F16: Convert<Half>(elements, singles, static x => (float)x); break;
            case ElementType.BF16: Convert<ushort>(elements, singles, static x => BitConverter.UInt32BitsToSingle((uint)x << 16)); break;
            case ElementType.I64: Convert<long>(elements, singles, static x => x); break;
            case ElementType.I32: Convert<int>(elements, singles, static x => x); break;
            case ElementType.I16: Convert<short>(elements, singles, static x => x); break;
            case ElementType.I8: Convert<sbyte>(elements, singles, static x => x); break;
            default: Convert<byte>(elements, singles, static x => x); break;
        }
    }

    /// <summary>Converts singles to a floating-point type, each rounded to the nearest, ties to even.</summary>
    /// <returns>The bytes that they take.</returns>
    /// <exception cref="ArgumentException">The type is none of F32, F16 and BF16.</exception>
    public static int FromSingles(ElementType type, ReadOnlySpan<float> singles, Span<byte> elements)
    {
        switch (type)
        {
            case ElementType.F32:
                MemoryMarshal.AsBytes(singles).CopyTo(elements);
                break;
            case ElementType.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(elements);
                for (var i = 0; i < singles.Length; i++) halves[i] = (Half)singles[i];
                break;
            case ElementType.BF16:
                var upper = MemoryMarshal.Cast<byte, ushort>(elements);
                for (var i = 0; i < singles.Length; i++) upper[i] = ToBFloat16(singles[i]);
                break;
            default:
                throw new ArgumentException($"numbers are not converted to {type.Name()}", nameof(type));
        }
        return singles.Length * type.Size();
    }

    private static ushort ToBFloat16(float number)
    {
        var bits = BitConverter.SingleToUInt32Bits(number);
        return float.IsNaN(number) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void Convert<T>(ReadOnlySpan<byte> elements, Span<float> singles, Func<T, float> convert) where T : unmanaged
    {
        var numbers = MemoryMarshal.Cast<byte, T>(elements);
        for (var i = 0; i < numbers.Length; i++) singles[i] = convert(numbers[i]);
    }
}
