namespace Transformer.Formats.Gguf;

/// <summary>One tensor in a GGUF file.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Type">What it is made of.</param>
/// <param name="Shape">Its dimensions, the last one running fastest (the file has them in reverse).</param>
/// <param name="Begin">Where its bytes begin, counted from the start of the data.</param>
internal sealed record GgufTensor(string Name, GgufTensorType Type, long[] Shape, long Begin)
{
    /// <summary>How many bytes it takes.</summary>
    public long Bytes => Type.BytesOf(Shape.Aggregate(1L, (product, dimension) => product * dimension));
}
