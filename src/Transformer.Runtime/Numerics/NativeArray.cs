using System.Runtime.InteropServices;

namespace Transformer.Numerics;

/// <summary>Numbers outside .NET's heap, so that kernels may keep their address: zeros at first, on a 64-byte boundary.</summary>
/// <param name="length">How many.</param>
internal sealed unsafe class NativeArray<T>(long length) : IDisposable where T : unmanaged
{
    private const int Alignment = 64;

    // Zeroed by the system as it is first touched: what is never used costs nothing.
    private void* memory = NativeMemory.AllocZeroed((nuint)(length * sizeof(T) + Alignment));

    /// <summary>Where the first number lies.</summary>
    public T* Pointer => (T*)(((nint)memory + Alignment - 1) & -Alignment);

    /// <summary>How many there are.</summary>
    public long Length { get; } = length;

    /// <summary>The bytes that they take.</summary>
    public long Bytes => Length * sizeof(T);

    /// <summary>A span of them.</summary>
    public Span<T> Span(long start, int count) => new(Pointer + start, count);

    /// <inheritdoc/>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        NativeMemory.Free(memory);
        memory = null;
    }

    /// <summary>Frees what nobody freed.</summary>
    ~NativeArray() => Release();
}
