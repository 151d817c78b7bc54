using SkiaSharp;
using Transformer.Data.Images;

namespace Transformer.Tests.Data.Tasks;

/// <summary>An object as the pixels of its colour show it.</summary>
/// <param name="Colour">The name of the colour.</param>
/// <param name="Shape">A square fills its box, a triangle the lowest line of it alone, a circle no corner.</param>
/// <param name="Width">The pixels of a side of its box.</param>
/// <param name="X">The middle from the left.</param>
/// <param name="Y">The middle from the top.</param>
internal sealed record SeenObject(string Colour, string Shape, int Width, int X, int Y)
{
    private static readonly Dictionary<SKColor, string> Names = new()
    {
        [new(255, 0, 0)] = "red",
        [new(0, 255, 0)] = "green",
        [new(0, 0, 255)] = "blue",
        [new(255, 156, 0)] = "orange",
        [new(128, 128, 128)] = "grey",
        [new(255, 255, 0)] = "yellow",
    };

    /// <summary>The objects of a picture in the order of the colours; every other pixel is white.</summary>
    public static SeenObject[] In(Picture picture)
    {
        var pixels = picture.Pixels.Chunk(3).Select((pixel, place) =>
            (X: place % picture.Width, Y: place / picture.Width, Colour: new SKColor(pixel[0], pixel[1], pixel[2])));
        var byColour = pixels.Where(pixel => pixel.Colour != SKColors.White).ToLookup(pixel => pixel.Colour, pixel => (pixel.X, pixel.Y));
        Assert.All(byColour, pixels => Assert.Contains(pixels.Key, Names));
        return [.. Names.Where(name => byColour.Contains(name.Key)).Select(name => Of(name.Value, [.. byColour[name.Key]]))];
    }

    public int SquaredDistance(SeenObject other) => (X - other.X) * (X - other.X) + (Y - other.Y) * (Y - other.Y);

    private static SeenObject Of(string colour, HashSet<(int X, int Y)> pixels)
    {
        var (left, right) = (pixels.Min(pixel => pixel.X), pixels.Max(pixel => pixel.X));
        var (top, bottom) = (pixels.Min(pixel => pixel.Y), pixels.Max(pixel => pixel.Y));
        var width = right - left + 1;
        Assert.Equal(width, bottom - top + 1);
        var middle = (X: (left + right) / 2, Y: (top + bottom) / 2);
        Assert.Contains(middle, pixels);
        var shape = (pixels.Contains((left, top)), pixels.Contains((left, bottom))) switch
        {
            (true, true) => "square",
            (false, true) => "triangle",
            _ => "circle",
        };
        if (shape == "square") Assert.Equal(width * width, pixels.Count);    // whole: nothing lies over it
        return new(colour, shape, width, middle.X, middle.Y);
    }
}
