using Transformer.Configuration;

namespace Transformer.Data.Images;

/// <summary>
/// Pillow's resize of bytes: a pass over the columns, then one over the rows, each rounded and clipped to 0 to 255. Pillow 13 may take the
/// rows first where a picture is taller than wide; here columns are always first, as in the versions before it.
/// </summary>
public static class PictureResize
{
    private const int Colours = 3;

    /// <summary>Resizes a picture.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="width">Pixels of a new row, at least 1.</param>
    /// <param name="height">New rows, at least 1.</param>
    /// <param name="filter">How new pixels are made of the old ones.</param>
    public static Picture To(Picture picture, int width, int height, ImageFilter filter)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        return To(
            picture, ResizeWeights.Of(picture.Width, width, 0, width, filter), ResizeWeights.Of(picture.Height, height, 0, height, filter));
    }

    /// <summary>Makes the pixels of the columns and rows that are given, which may be a part of a resized picture.</summary>
    internal static Picture To(Picture picture, ResizeWeights[] columns, ResizeWeights[] rows)
    {
        var first = rows[0].First;
        var narrowed = Columns(picture, columns, first, rows[^1].End - first);
        return Rows(narrowed, rows, first);
    }

    // Of the rows only those that the second pass reads.
    private static Picture Columns(Picture picture, ResizeWeights[] columns, int first, int count)
    {
        var result = new byte[checked(count * columns.Length * Colours)];
        var next = 0;
        for (var y = first; y < first + count; y++)
        {
            var row = picture.Pixels.AsSpan(y * picture.Width * Colours, picture.Width * Colours);
            foreach (var column in columns)
                for (var c = 0; c < Colours; c++) result[next++] = Level(column.Weights, row[(column.First * Colours + c)..], Colours);
        }
        return new(columns.Length, count, result);
    }

    private static Picture Rows(Picture picture, ResizeWeights[] rows, int first)
    {
        var rowLength = picture.Width * Colours;
        var result = new byte[checked(rows.Length * rowLength)];
        var next = 0;
        foreach (var row in rows)
        {
            var source = picture.Pixels.AsSpan((row.First - first) * rowLength);
            for (var i = 0; i < rowLength; i++) result[next++] = Level(row.Weights, source[i..], rowLength);
        }
        return new(picture.Width, rows.Length, result);
    }

    // The weighted sum of levels that lie a step apart, rounded and clipped.
    private static byte Level(int[] weights, ReadOnlySpan<byte> levels, int step)
    {
        var sum = 1 << (ResizeWeights.Bits - 1);
        for (var i = 0; i < weights.Length; i++) sum += weights[i] * levels[i * step];
        return (byte)Math.Clamp(sum >> ResizeWeights.Bits, 0, byte.MaxValue);
    }
}
