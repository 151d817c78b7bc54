using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// N outputs · K inputs

/// <summary>
/// A matrix as ONNX Runtime's MatMulNBits has it: each row in blocks of 32 weights, w = scale (q - 2^(bits - 1)) with a scale a block and q
/// without sign; two weights of 4 bits share a byte, the first in its lower half.
/// </summary>
/// <param name="Packed">[N, K / 32, 4 bits], bytes</param>
/// <param name="Scales">[N, K / 32]</param>
internal sealed record MatMulNBitsWeight(Tensor Packed, Tensor Scales)
{
    /// <summary>How many weights share a scale.</summary>
    public const int BlockLength = 32;

    /// <summary>Whether a matrix [N, K] is worth it: whole blocks, and more than a few rows.</summary>
    public static bool Suits(Tensor matrix) => matrix.shape[1] % BlockLength == 0 && matrix.shape[0] >= BlockLength;

    /// <param name="matrix">[N, K], whole blocks.</param>
    /// <param name="bits">4 or 8.</param>
    public static MatMulNBitsWeight Of(Tensor matrix, int bits)
    {
        using var scope = NewDisposeScope();
        var blocks = matrix.detach().to(ScalarType.Float32).cpu().reshape(matrix.shape[0], -1, BlockLength);    // [N, K / 32, 32]
        var middle = 1 << (bits - 1);
        var scales = Scale(blocks, middle);                                                                     // [N, K / 32, 1]
        var inverse = where(scales == 0, zeros_like(scales), 1 / scales);
        var q = ((blocks * inverse).round() + middle).clamp(0, 2 * middle - 1).to(ScalarType.Byte);             // [N, K / 32, 32]
        if (bits == 4) q = Halves(q);                                                                           // [N, K / 32, 16]
        return new(q.contiguous().MoveToOuterDisposeScope(), scales.squeeze(-1).contiguous().MoveToOuterDisposeScope());
    }

    /// <summary>The matrix that products see: [N, K].</summary>
    public Tensor Dequantize()
    {
        using var scope = NewDisposeScope();
        var middle = Packed.shape[2] == BlockLength ? 128 : 8;
        var q = middle == 128 ? Packed : stack([Packed.remainder(16), Packed.div(16, RoundingMode.floor)], -1).flatten(2);
        return ((q.to(ScalarType.Float32) - middle) * Scales.unsqueeze(-1)).flatten(1).MoveToOuterDisposeScope();
    }

    // The weight of greatest magnitude becomes the number of greatest magnitude, -2^(bits - 1), exactly: no bit of the range is wasted.
    private static Tensor Scale(Tensor blocks, int middle)
    {
        var greatest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim: true));                               // [N, K / 32, 1]
        return greatest / -middle;
    }

    private static Tensor Halves(Tensor q)
    {
        var pairs = q.view(q.shape[0], -1, BlockLength / 2, 2);
        return pairs.select(-1, 0) + pairs.select(-1, 1) * 16;
    }
}
