using System.Runtime.InteropServices;
using Transformer.Numerics;

namespace Transformer.Formats;

/// <summary>
/// A tensor as files hold it: a name, a type, a shape, and its elements row by row. It may be larger than a span or an array
/// can be, so its bytes are visited in chunks. Bytes in memory are a <see cref="MemoryTensor"/>; others are computed, or
/// copied from a device, as they are visited.
/// </summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its dimensions, the last one running fastest; none for a scalar.</param>
public abstract record StoredTensor(string Name, ElementType Type, IReadOnlyList<long> Shape)
{
    private const int SinglesAtOnce = 1 << 14;

    /// <summary>The number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);

    /// <summary>The bytes of all elements.</summary>
    public long Bytes => Count * Type.Size();

    /// <summary>Visits all bytes in order, in chunks of whole elements.</summary>
    public abstract void Visit(Action<ReadOnlySpan<byte>> visitor);

    /// <summary>Visits all elements in order, converted to single precision.</summary>
    public void VisitSingles(Action<ReadOnlySpan<float>> visitor)
    {
        if (Type == ElementType.F32)
        {
            Visit(chunk => visitor(MemoryMarshal.Cast<byte, float>(chunk)));
            return;
        }
        var (buffer, size) = (new float[SinglesAtOnce], Type.Size());
        Visit(chunk =>
        {
            while (!chunk.IsEmpty)
            {
                var count = Math.Min(SinglesAtOnce, chunk.Length / size);
                ElementConversion.ToSingles(Type, chunk[..(count * size)], buffer);
                visitor(buffer.AsSpan(0, count));
                chunk = chunk[(count * size)..];
            }
        });
    }

    /// <summary>All elements in single precision.</summary>
    /// <exception cref="OverflowException">There are more than an array can hold.</exception>
    public float[] ToFloat32()
    {
        var (all, position) = (new float[checked((int)Count)], 0);
        VisitSingles(chunk =>
        {
            chunk.CopyTo(all.AsSpan(position));
            position += chunk.Length;
        });
        return all;
    }

    /// <summary>Copies all elements.</summary>
    /// <exception cref="ArgumentException">The destination has another type or length.</exception>
    public void CopyTo<T>(Span<T> destination) where T : unmanaged
    {
        if (ElementTypes.Of<T>() != Type || destination.Length != Count)
        {
            throw new ArgumentException(
                $"{Name} holds {Count} elements of type {Type.Name()}, not {destination.Length} of {typeof(T).Name}", nameof(destination));
        }
        var rest = MemoryMarshal.AsBytes(destination);
        unsafe
        {
            fixed (byte* start = rest) CopyTo((nint)start);
        }
    }

    /// <summary>Copies all bytes to an address with enough memory.</summary>
    internal unsafe void CopyTo(nint destination)
    {
        var next = (byte*)destination;
        Visit(chunk =>
        {
            chunk.CopyTo(new Span<byte>(next, chunk.Length));
            next += chunk.Length;
        });
    }

    /// <summary>Passes all bytes at one address, which is valid only until the call returns.</summary>
    internal virtual unsafe void Pin(Action<nint> use)
    {
        using var copy = new NativeArray<byte>(Bytes);
        CopyTo((nint)copy.Pointer);
        use((nint)copy.Pointer);
    }
}
