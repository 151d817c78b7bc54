using System.Runtime.InteropServices;

namespace Transformer.Formats;

// R rows · C columns

/// <summary>The same numbers in another layout: transposed, their rows in another order, split or joined, or widened.</summary>
internal static class TensorLayout
{
    private const int ColumnsAtOnce = 16;    // so that each cache line of the source is read once

    /// <summary>A matrix with rows and columns exchanged.</summary>
    /// <param name="matrix">[R, C]</param>
    /// <returns>[C, R]</returns>
    public static StoredTensor Transposed(StoredTensor matrix)
    {
        var (rows, columns) = (matrix.Shape[0], matrix.Shape[1]);
        return new ComputedTensor(matrix.Name, matrix.Type, [columns, rows], visitor => matrix.Pin(address =>
        {
            switch (matrix.Type.Size())
            {
                case sizeof(byte): Transpose<byte>(address, rows, columns, visitor); break;
                case sizeof(ushort): Transpose<ushort>(address, rows, columns, visitor); break;
                case sizeof(uint): Transpose<uint>(address, rows, columns, visitor); break;
                default: Transpose<ulong>(address, rows, columns, visitor); break;
            }
        }));
    }

    /// <summary>The rows of a matrix, or the elements of a vector, in another order.</summary>
    /// <param name="tensor">[R, C] or [R]</param>
    /// <param name="source">Which row of the tensor becomes a row of the result.</param>
    public static StoredTensor Reordered(StoredTensor tensor, Func<long, long> source)
    {
        var (rows, bytes) = (tensor.Shape[0], tensor.Bytes / Math.Max(1, tensor.Shape[0]));
        return new ComputedTensor(tensor.Name, tensor.Type, tensor.Shape, visitor => tensor.Pin(address =>
        {
            for (long row = 0; row < rows; row++) visitor(MemoryTensor.Span(address, source(row) * bytes, (int)bytes));
        }));
    }

    /// <summary>Equal parts along the first dimension.</summary>
    /// <param name="tensor">[n R, C] or [n R]</param>
    /// <param name="parts">n.</param>
    /// <returns>n times [R, C] or [R]</returns>
    public static IEnumerable<StoredTensor> Split(StoredTensor tensor, int parts)
    {
        long[] shape = [tensor.Shape[0] / parts, .. tensor.Shape.Skip(1)];
        var bytes = tensor.Bytes / parts;
        return Enumerable.Range(0, parts).Select(part => tensor is MemoryTensor memory
            ? memory with { Shape = shape, Address = memory.Address + (nint)(part * bytes) }
            : (StoredTensor)new ComputedTensor(tensor.Name, tensor.Type, shape, visitor => tensor.Pin(address =>
                new MemoryTensor(tensor.Name, tensor.Type, shape, address + (nint)(part * bytes), tensor).Visit(visitor))));
    }

    /// <summary>Tensors one behind the other along the first dimension.</summary>
    /// <param name="name">The name of the result.</param>
    /// <param name="parts">Tensors of one type, equal in all dimensions but the first.</param>
    public static StoredTensor Joined(string name, params IReadOnlyList<StoredTensor> parts) => new ComputedTensor(
        name, parts[0].Type, [parts.Sum(part => part.Shape[0]), .. parts[0].Shape.Skip(1)], visitor =>
        {
            foreach (var part in parts) part.Visit(visitor);
        });

    /// <summary>The same numbers in single precision.</summary>
    public static StoredTensor ToSingles(StoredTensor tensor) => new ComputedTensor(
        tensor.Name, ElementType.F32, tensor.Shape, visitor => tensor.VisitSingles(numbers => visitor(MemoryMarshal.AsBytes(numbers))));

    private static unsafe void Transpose<T>(nint address, long rows, long columns, Action<ReadOnlySpan<byte>> visitor) where T : unmanaged
    {
        var source = (T*)address;
        var buffer = new T[ColumnsAtOnce * rows];
        for (long first = 0; first < columns; first += ColumnsAtOnce)
        {
            var count = Math.Min(ColumnsAtOnce, columns - first);
            for (long row = 0; row < rows; row++)
                for (long column = 0; column < count; column++) buffer[column * rows + row] = source[row * columns + first + column];
            visitor(MemoryMarshal.AsBytes(buffer.AsSpan(0, (int)(count * rows))));
        }
    }
}
