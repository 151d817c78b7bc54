using Transformer.Quantization;

namespace Transformer.Formats.Gguf;

/// <summary>What a tensor of a GGUF file is made of: plain numbers, or blocks of them.</summary>
/// <param name="Id">The number by which a file names it.</param>
/// <param name="Name">The name by which ggml knows it.</param>
/// <param name="Element">The type of the tensor that is read; for blocks single precision.</param>
/// <param name="Length">How many numbers a block holds; 1 for plain numbers.</param>
/// <param name="Bytes">How many bytes a block takes.</param>
/// <param name="Blocks">What makes numbers of blocks; null for plain numbers.</param>
internal sealed record GgufTensorType(uint Id, string Name, ElementType Element, int Length, int Bytes, BlockFormat? Blocks = null)
{
    public static readonly GgufTensorType F32 = new(0, "F32", ElementType.F32, 1, 4);
    public static readonly GgufTensorType F16 = new(1, "F16", ElementType.F16, 1, 2);
    public static readonly GgufTensorType Q4_0 = Of(2, Quantization.Q4_0.Format);
    public static readonly GgufTensorType Q8_0 = Of(8, Quantization.Q8_0.Format);

    private static readonly GgufTensorType[] Known =
    [
        F32, F16, Q4_0, Of(3, Q4_1.Format), Of(6, Q5_0.Format), Of(7, Q5_1.Format), Q8_0, Of(10, Q2_K.Format), Of(11, Q3_K.Format),
        Of(12, Q4_K.Format), Of(13, Q5_K.Format), Of(14, Q6_K.Format), new(30, "BF16", ElementType.BF16, 1, 2),
    ];

    /// <summary>The names of the types that can be read.</summary>
    public static IEnumerable<string> Names => Known.Select(type => type.Name);

    /// <summary>The type with this number; null where it is none that can be read.</summary>
    public static GgufTensorType? Numbered(uint id) => Array.Find(Known, type => type.Id == id);

    /// <summary>The bytes that this many numbers take.</summary>
    public long BytesOf(long count) => count / Length * Bytes;

    private static GgufTensorType Of(uint id, BlockFormat format) =>
        new(id, format.Name, ElementType.F32, format.Length, format.Bytes, format);
}
