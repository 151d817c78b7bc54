using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Transformer.Inference;

// N vectors of a picture · C width

/// <summary>
/// The pictures that a model has read, each encoded once. In a text a picture is ids below 0, the same ones for the same picture, so that
/// whatever compares texts by their tokens, such as the reuse of a prefix, compares pictures by their hash. It keeps the vectors of every
/// picture that the model has read, for as long as the model lives.
/// </summary>
/// <param name="idsOfPicture">How many ids stand for a picture: as many as it has vectors, or one.</param>
internal sealed class PictureTable(int idsOfPicture)
{
    private readonly Dictionary<UInt128, int> numbers = [];
    private readonly List<float[]> vectors = [];

    /// <summary>The ids of a picture.</summary>
    /// <param name="pixels">What the model reads of it.</param>
    /// <param name="encode">Makes its vectors, [N, C], where it is new.</param>
    public int[] IdsOf(ReadOnlySpan<float> pixels, Func<ReadOnlySpan<float>, float[]> encode)
    {
        var hash = XxHash128.HashToUInt128(MemoryMarshal.AsBytes(pixels));
        if (!numbers.TryGetValue(hash, out var number))
        {
            vectors.Add(encode(pixels));
            numbers[hash] = number = vectors.Count - 1;
        }
        return [.. Enumerable.Range(number * idsOfPicture, idsOfPicture).Select(id => -1 - id)];
    }

    /// <summary>Whether an id is one of a picture.</summary>
    public bool Has(int id) => id < 0 && -1 - id < vectors.Count * idsOfPicture;

    /// <summary>What an id stands for: its own vector of the picture's, [C], or where one id stands for all of them, [N, C].</summary>
    public ReadOnlyMemory<float> VectorsOf(int id)
    {
        var (number, part) = Math.DivRem(-1 - id, idsOfPicture);
        var length = vectors[number].Length / idsOfPicture;
        return vectors[number].AsMemory(part * length, length);
    }
}
