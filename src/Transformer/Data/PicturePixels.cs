using Transformer.Configuration;
using Transformer.Data.Images;

namespace Transformer.Data;

// I pictures · S side of a picture

/// <summary>
/// Pictures of the size that a model reads, and where they stand in a batch. Levels are bytes, which whoever reads them normalises, so
/// that a batch that is prefetched takes little memory.
/// </summary>
/// <param name="Levels">Each picture once, red, green and blue from 0 to 255: [I, S, S, 3].</param>
/// <param name="Size">S.</param>
/// <param name="Of">For each picture in the text, in the order of rows and then places, which of them it is.</param>
public sealed record PicturePixels(byte[] Levels, int Size, IReadOnlyList<int> Of)
{
    /// <summary>I.</summary>
    public int Count => Levels.Length / BytesOfPicture;

    private int BytesOfPicture => 3 * Size * Size;

    /// <summary>The levels of pictures as a model takes them: [I, S, S, 3].</summary>
    internal static byte[] LevelsOf(IReadOnlyList<Picture> pictures, ImageConfig config)
    {
        var bytes = 3 * config.Size * config.Size;
        var levels = new byte[pictures.Count * bytes];
        foreach (var (number, picture) in pictures.Index())
            ImagePreprocessing.Square(picture, config).Pixels.CopyTo(levels.AsSpan(number * bytes));
        return levels;
    }

    /// <summary>The pictures of some places that follow one another, and no others.</summary>
    internal PicturePixels Slice(int first, int count)
    {
        int[] of = [.. Of.Skip(first).Take(count)];
        int[] used = [.. of.Distinct()];
        var levels = new byte[used.Length * BytesOfPicture];
        foreach (var (to, from) in used.Index())
            Levels.AsSpan(from * BytesOfPicture, BytesOfPicture).CopyTo(levels.AsSpan(to * BytesOfPicture));
        return new(levels, Size, [.. of.Select(index => Array.IndexOf(used, index))]);
    }
}
