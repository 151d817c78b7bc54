using System.Runtime.InteropServices;
using Transformer.Numerics;

namespace Transformer.Formats;

/// <summary>A tensor whose bytes are contiguous in this process's memory: mapped from a file, .NET's own or another library's.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its dimensions, the last one running fastest; none for a scalar.</param>
/// <param name="Address">Where the bytes begin.</param>
/// <param name="Owner">What keeps the memory alive; where it is a handle, until that is closed.</param>
public sealed record MemoryTensor(string Name, ElementType Type, IReadOnlyList<long> Shape, nint Address, object Owner)
    : StoredTensor(Name, Type, Shape)
{
    private const int ChunkBytes = 1 << 26;

    /// <summary>Where the bytes begin.</summary>
    /// <exception cref="ObjectDisposedException">The file from which they are mapped has been closed.</exception>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(Owner is SafeHandle { IsClosed: true }, Owner);
            return field;
        }
        init;
    } = Address;

    /// <summary>A tensor of its own memory.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="elements">The elements, which are copied.</param>
    /// <param name="shape">The dimensions.</param>
    /// <exception cref="ArgumentException">The shape has another number of elements, or no tensor holds such.</exception>
    public static MemoryTensor Of<T>(string name, ReadOnlySpan<T> elements, params long[] shape) where T : unmanaged
    {
        var copy = new NativeArray<T>(elements.Length);
        elements.CopyTo(copy.Span(0, elements.Length));
        return Of(name, copy, shape);
    }

    /// <summary>A tensor of an array's memory, which it keeps.</summary>
    /// <exception cref="ArgumentException">The shape has another number of elements, or no tensor holds such.</exception>
    internal static unsafe MemoryTensor Of<T>(string name, NativeArray<T> elements, params long[] shape) where T : unmanaged
    {
        var tensor = new MemoryTensor(name, ElementTypes.Of<T>(), shape, (nint)elements.Pointer, elements);
        return tensor.Count == elements.Length
            ? tensor
            : throw new ArgumentException($"{elements.Length} elements for shape [{string.Join(", ", shape)}]", nameof(shape));
    }

    /// <summary>Bytes from an address on, which the caller keeps valid.</summary>
    internal static unsafe ReadOnlySpan<byte> Span(nint address, long start, int count) => new((byte*)address + start, count);

    /// <inheritdoc/>
    public override void Visit(Action<ReadOnlySpan<byte>> visitor)
    {
        var (address, bytes) = (Address, Bytes);
        for (long start = 0; start < bytes; start += ChunkBytes) visitor(Span(address, start, (int)Math.Min(ChunkBytes, bytes - start)));
        GC.KeepAlive(Owner);
    }

    /// <inheritdoc/>
    internal override void Pin(Action<nint> use)
    {
        use(Address);
        GC.KeepAlive(Owner);
    }
}
