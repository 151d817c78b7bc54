using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>
/// The matrix product of the BLAS library inside libtorch, for kernels whose operands lie in small buffers of their own. Called from a
/// <see cref="ParallelFor"/> piece it stays on that piece's thread.
/// </summary>
internal static unsafe partial class Blas
{
    private const byte AsIs = (byte)'N', Transposed = (byte)'T';

    /// <summary>Whether this libtorch lets others call its BLAS: the Linux and x64 builds do.</summary>
    public static bool IsAvailable { get; } = Find();

    /// <summary>c = alpha op(a) op(b) + beta c, in rows.</summary>
    /// <param name="rows">The rows of op(a) and c.</param>
    /// <param name="columns">The columns of op(b) and c.</param>
    /// <param name="depth">The columns of op(a) and the rows of op(b).</param>
    /// <param name="alpha">The factor of the product.</param>
    /// <param name="a">The left matrix.</param>
    /// <param name="aStride">From one row of a, as it lies, to the next.</param>
    /// <param name="transposeA">Whether op(a) is a's transpose.</param>
    /// <param name="b">The right matrix.</param>
    /// <param name="bStride">From one row of b, as it lies, to the next.</param>
    /// <param name="transposeB">Whether op(b) is b's transpose.</param>
    /// <param name="beta">The factor of what c holds.</param>
    /// <param name="c">The result.</param>
    /// <param name="cStride">From one row of c to the next.</param>
    public static void Product(
        long rows, long columns, long depth, float alpha, float* a, long aStride, bool transposeA, float* b, long bStride, bool transposeB,
        float beta, float* c, long cStride)
    {
        // Fortran reads our rows as columns and so sees every matrix transposed: c^T = op(b)^T op(a)^T.
        var (opA, opB) = (transposeA ? Transposed : AsIs, transposeB ? Transposed : AsIs);
        var (m, n, k) = ((int)columns, (int)rows, (int)depth);
        var (ldA, ldB, ldC) = ((int)aStride, (int)bStride, (int)cStride);
        sgemm_(&opB, &opA, &m, &n, &k, &alpha, b, &ldB, a, &ldA, &beta, c, &ldC);
    }

    private static bool Find()
    {
        LibTorch.Load();
        return LibTorch.Folder is { } folder && NativeLibrary.TryLoad(Path.Combine(folder, "libtorch_cpu.so"), out var library)
            && NativeLibrary.TryGetExport(library, nameof(sgemm_), out _);
    }

    [LibraryImport(LibTorch.CpuLibrary)]
    private static partial void sgemm_(
        byte* transposeA, byte* transposeB, int* m, int* n, int* k, float* alpha, float* a, int* ldA, float* b, int* ldB, float* beta,
        float* c, int* ldC);
}
