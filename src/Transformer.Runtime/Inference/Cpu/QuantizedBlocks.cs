namespace Transformer.Inference.Cpu;

/// <summary>The block sizes of quantisation.</summary>
internal static class QuantizedBlocks
{
    /// <summary>How many numbers share a scale.</summary>
    public const int Length = 32;

    /// <summary>How many rows of a matrix are interleaved: as many as a vector has sums.</summary>
    public const int Rows = 8;

    /// <summary>The blocks of a row of a matrix or a vector, an even number.</summary>
    public static int In(int width) => (width + 2 * Length - 1) / (2 * Length) * 2;
}
