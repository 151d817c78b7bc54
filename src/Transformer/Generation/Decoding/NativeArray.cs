using System.Runtime.InteropServices;

namespace Transformer.Generation.Decoding;

/// <summary>Numbers outside .NET's heap, so that kernels may keep their address: zeros at first, on a 64-byte boundary.</summary>
/// <param name="length">How many.</param>
internal sealed unsafe class NativeArray<T>(long length) : IDisposable where T : unmanaged
{
    private const int Alignment = 64;

    /// <summary>Where the first number lies; null after the end.</summary>
    public T* Pointer { get; private set; } = Allocate(length);

    /// <summary>How many there are.</summary>
    public long Length { get; } = length;

    /// <summary>The bytes that they take.</summary>
    public long Bytes => Length * sizeof(T);

    /// <summary>A stretch of them.</summary>
    public Span<T> Span(long start, int count) => new(Pointer + start, count);

    /// <inheritdoc/>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private static T* Allocate(long length)
    {
        var bytes = (nuint)(Math.Max(1, length) * sizeof(T));
        var pointer = NativeMemory.AlignedAlloc(bytes, Alignment);
        NativeMemory.Clear(pointer, bytes);
        return (T*)pointer;
    }

    private void Release()
    {
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
    }

    /// <summary>Frees what nobody freed.</summary>
    ~NativeArray() => Release();
}
