using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// M matrices · C rows and columns

/// <summary>
/// (I + L)^-1 for many small L at once, where L is the part below the diagonal: forward substitution in the core's own cache, where
/// libtorch on the CPU solves matrix by matrix on one thread. Its gradient is two products, -(I + L)^-T dT (I + L)^-T.
/// </summary>
internal sealed unsafe class TriangularInverse : Operator<TriangularInverse>
{
    /// <param name="matrices">[..., C, C]; only the part below the diagonal is read.</param>
    /// <returns>[..., C, C]</returns>
    public static Tensor Of(Tensor matrices)
    {
        if (Kernels.Supports(matrices)) return apply(matrices.contiguous());
        var identity = eye(matrices.shape[^1], dtype: matrices.dtype, device: matrices.device);
        return linalg.solve_triangular(matrices, identity, upper: false, unitriangular: true);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
    {
        var matrices = (Tensor)inputs[0];
        var inverses = zeros_like(matrices);
        var work = new Work { Size = matrices.shape[^1], Matrices = Kernels.Pointer(matrices), Inverses = Kernels.Pointer(inverses) };
        ParallelFor.Run(matrices.numel() / (work.Size * work.Size), 1, &Invert, &work);
        GC.KeepAlive(matrices);
        context.save_for_backward([inverses]);
        return inverses;
    }

    /// <inheritdoc/>
    protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
    {
        using var transposed = context.get_saved_variables()[0].transpose(-2, -1);
        using var left = matmul(transposed, gradient);
        using var both = matmul(left, transposed);
        return [both.tril_(-1).neg()];
    }

    private struct Work
    {
        public long Size;
        public float* Matrices, Inverses;
    }

    // Row i of the inverse is the unit vector i less the rows before it, by L's numbers of row i.
    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Invert(long begin, long end, Work* work)
    {
        var size = work->Size;
        for (var matrix = begin; matrix < end; matrix++)
        {
            var source = work->Matrices + matrix * size * size;
            var inverse = work->Inverses + matrix * size * size;
            for (long i = 0; i < size; i++)
            {
                for (long j = 0; j < i; j++) Subtract(source[i * size + j], inverse + j * size, inverse + i * size, j + 1);
                inverse[i * size + i] = 1;
            }
        }
    }

    // y -= factor x
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Subtract(float factor, float* x, float* y, long count)
    {
        long i = 0;
        for (; i + 8 <= count; i += 8) (Vector256.Load(y + i) - Vector256.Load(x + i) * factor).Store(y + i);
        for (; i < count; i++) y[i] -= factor * x[i];
    }
}
