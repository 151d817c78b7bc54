namespace Transformer.Data;

// I pictures · S side of a picture

/// <summary>Pictures as the numbers that a model reads, and where they stand in a batch.</summary>
/// <param name="Values">Each picture once: [I, 3, S, S].</param>
/// <param name="Size">S.</param>
/// <param name="Of">For each picture in the text, in the order of rows and then places, which of them it is.</param>
public sealed record PicturePixels(float[] Values, int Size, IReadOnlyList<int> Of)
{
    /// <summary>I.</summary>
    public int Count => Values.Length / (3 * Size * Size);

    /// <summary>The pictures of some places that follow one another, and no others.</summary>
    internal PicturePixels Slice(int first, int count)
    {
        int[] of = [.. Of.Skip(first).Take(count)];
        int[] used = [.. of.Distinct()];
        var numbers = 3 * Size * Size;
        var values = new float[used.Length * numbers];
        foreach (var (to, from) in used.Index()) Values.AsSpan(from * numbers, numbers).CopyTo(values.AsSpan(to * numbers));
        return new(values, Size, [.. of.Select(index => Array.IndexOf(used, index))]);
    }
}
