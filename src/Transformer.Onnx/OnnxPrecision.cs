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
