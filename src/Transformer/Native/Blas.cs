using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>
/// The matrix product of the BLAS library inside libtorch, for kernels with small operand buffers. Called within <see cref="ParallelFor"/>
/// it runs on the calling thread.
/// </summary>
internal static unsafe partial class Blas
{
    private const byte AsIs = (byte)'N', Transposed = (byte)'T';

    /// <summary>Whether this libtorch exports its BLAS: the Linux x64 builds do.</summary>
    public static bool IsAvailable { get; } = Find();

    /// <summary>c = alpha op(a) op(b) + beta c, row-major.</summary>
    /// <param name="rows">The rows of op(a) and c.</param>
    /// <param name="columns">The columns of op(b) and c.</param>
    /// <param name="depth">The columns of op(a) and the rows of op(b).</param>
    /// <param name="alpha">The factor of the product.</param>
    /// <param name="a">The left matrix.</param>
    /// <param name="aStride">The stride between rows of a as stored.</param>
    /// <param name="transposeA">Whether op(a) is a's transpose.</param>
    /// <param name="b">The right matrix.</param>
    /// <param name="bStride">The stride between rows of b as stored.</param>
    /// <param name="transposeB">Whether op(b) is b's transpose.</param>
    /// <param name="beta">The factor of the old c.</param>
    /// <param name="c">The result.</param>
    /// <param name="cStride">The stride between rows of c.</param>
    public static void Product(
        long rows, long columns, long depth, float alpha, float* a, long aStride, bool transposeA, float* b, long bStride, bool transposeB,
        float beta, float* c, long cStride)
    {
        // Fortran is column-major and so sees every matrix transposed: c^T = op(b)^T op(a)^T.
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
