using Transformer.Configuration;
using Transformer.Onnx.Graph;

namespace Transformer.Onnx;

/// <summary>How the matrices of an exported model are kept. Embeddings, norms and biases stay fp32.</summary>
public enum OnnxPrecision
{
    /// <summary>fp32: the same numbers, by standard operators only.</summary>
    F32,

    /// <summary>Blocks of 32 weights at 8 bits with a scale each, 9 bits a weight, by ONNX Runtime's own operator MatMulNBits.</summary>
    Q8,

    /// <summary>Blocks of 32 weights at 4 bits with a scale each, 5 bits a weight; the head at 8 bits.</summary>
    Q4,
}

/// <summary>What precisions cost.</summary>
public static class OnnxPrecisions
{
    /// <summary>The bytes of the weights used in matrix products, scales included; all of them in blocks where the precision has
    /// blocks.</summary>
    public static double MatrixBytes(this OnnxPrecision precision, ModelConfig config)
    {
        var (all, head) = (new ModelSize(config).MatrixParameters, (double)config.VocabularySize!.Value * config.Width);
        return precision switch
        {
            OnnxPrecision.Q8 => all * BytesAt(8),
            OnnxPrecision.Q4 => (all - head) * BytesAt(4) + head * BytesAt(8),
            _ => all * sizeof(float),
        };
    }

    private static double BytesAt(int bits) => bits / 8.0 + (double)sizeof(float) / MatMulNBitsWeight.BlockLength;
}
