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

    private static void Convert<T>(ReadOnlySpan<byte> elements, Span<float> singles, Func<T, float> convert) where T : unmanaged
    {
        var numbers = MemoryMarshal.Cast<byte, T>(elements);
        for (var i = 0; i < numbers.Length; i++) singles[i] = convert(numbers[i]);
    }
}
