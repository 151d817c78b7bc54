namespace Transformer.Generation.Decoding;

/// <summary>The measures of block quantisation.</summary>
internal static class QuantizedBlocks
{
    /// <summary>How many numbers share a scale.</summary>
    public const int Length = 32;

    /// <summary>How many blocks a kernel takes at a time: as many scales as fill a vector.</summary>
    public const int Group = 8;

    /// <summary>The blocks of a row of a matrix or a vector, whole groups.</summary>
    public static int In(int width) => (width + Length * Group - 1) / (Length * Group) * Group;
}
