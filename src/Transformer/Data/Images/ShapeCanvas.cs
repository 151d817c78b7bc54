using SkiaSharp;

namespace Transformer.Data.Images;

/// <summary>A white canvas for plain shapes, without antialiasing, so that a pixel has the colour of a shape or is white.</summary>
internal sealed class ShapeCanvas : IDisposable
{
    private const int Channels = 3;
    private readonly SKBitmap bitmap;
    private readonly SKCanvas canvas;
    private readonly SKPaint paint = new() { IsAntialias = false, Style = SKPaintStyle.Fill };

    public ShapeCanvas(int width, int height)
    {
        bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        canvas = new SKCanvas(bitmap);
        canvas.Clear(SKColors.White);
    }

    /// <summary>Fills a square around a pixel.</summary>
    /// <param name="x">From the left.</param>
    /// <param name="y">From the top.</param>
    /// <param name="radius">The pixels on each side of the middle one.</param>
    /// <param name="colour">Red, green and blue.</param>
    public void Square(int x, int y, int radius, SKColor colour) =>
        canvas.DrawRect(x - radius, y - radius, 2 * radius + 1, 2 * radius + 1, Filled(colour));

    /// <summary>Fills a circle around a pixel.</summary>
    /// <param name="x">From the left.</param>
    /// <param name="y">From the top.</param>
    /// <param name="radius">The pixels on each side of the middle one.</param>
    /// <param name="colour">Red, green and blue.</param>
    public void Circle(int x, int y, int radius, SKColor colour) => canvas.DrawCircle(x + 0.5f, y + 0.5f, radius + 0.5f, Filled(colour));

    /// <summary>Fills a triangle around a pixel, with one corner at the top.</summary>
    /// <param name="x">From the left.</param>
    /// <param name="y">From the top.</param>
    /// <param name="radius">The pixels on each side of the middle one.</param>
    /// <param name="colour">Red, green and blue.</param>
    public void Triangle(int x, int y, int radius, SKColor colour)
    {
        using var path = new SKPath();
        path.AddPoly([new(x + 0.5f, y - radius), new(x + radius + 1, y + radius + 1), new(x - radius, y + radius + 1)], close: true);
        canvas.DrawPath(path, Filled(colour));
    }

    /// <summary>What is drawn so far.</summary>
    public Picture ToPicture()
    {
        var pixels = new byte[bitmap.Width * bitmap.Height * Channels];
        var rgba = bitmap.GetPixelSpan();
        for (var pixel = 0; pixel < bitmap.Width * bitmap.Height; pixel++)
            rgba.Slice(pixel * (Channels + 1), Channels).CopyTo(pixels.AsSpan(pixel * Channels));
        return new(bitmap.Width, bitmap.Height, pixels);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        paint.Dispose();
        canvas.Dispose();
        bitmap.Dispose();
    }

    private SKPaint Filled(SKColor colour)
    {
        paint.Color = colour;
        return paint;
    }
}
