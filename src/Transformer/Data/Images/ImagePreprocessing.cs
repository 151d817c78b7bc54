using Transformer.Configuration;

namespace Transformer.Data.Images;

// S side of the square

/// <summary>From a picture to the numbers that a model reads, as an <see cref="ImageConfig"/> says.</summary>
public static class ImagePreprocessing
{
    private const int Colours = 3;

    /// <summary>How many values a byte of a picture has.</summary>
    internal const int Levels = 256;

    /// <summary>Makes a picture a square, scales it to 0 to 1 and normalises each colour.</summary>
    /// <returns>[3, S, S]: the red square, the green one and the blue one, each row by row.</returns>
    public static float[] Pixels(Picture picture, ImageConfig config) => Normalised(Square(picture, config), config);

    /// <summary>(level / 255 - mean) / deviation of each colour.</summary>
    /// <returns>[3, Height, Width]</returns>
    internal static float[] Normalised(Picture picture, ImageConfig config)
    {
        var count = picture.Width * picture.Height;
        var pixels = new float[Colours * count];
        var values = Values(config);
        for (var c = 0; c < Colours; c++)
            for (var i = 0; i < count; i++) pixels[c * count + i] = values[c * Levels + picture.Pixels[i * Colours + c]];
        return pixels;
    }

    /// <summary>What each level of each colour becomes: [3, 256].</summary>
    internal static float[] Values(ImageConfig config)
    {
        var values = new float[Colours * Levels];
        for (var c = 0; c < Colours; c++)
            for (var level = 0; level < Levels; level++)
                values[c * Levels + level] = (float)((level / (Levels - 1.0) - config.Mean[c]) / config.Deviation[c]);
        return values;
    }

    /// <summary>A picture of the size that a model reads: [S, S, 3].</summary>
    public static Picture Square(Picture picture, ImageConfig config)
    {
        if (picture.Width == config.Size && picture.Height == config.Size) return picture;
        var shorter = Math.Min(picture.Width, picture.Height);
        return PictureResize.To(picture, Side(picture.Width), Side(picture.Height));

        // Of what is longer than the square only the middle is made.
        ResizeWeights[] Side(int from)
        {
            var to = config.Fit switch
            {
                ImageFit.Stretch => config.Size,
                ImageFit.CenterCrop => (int)((long)config.Size * from / shorter),
                _ => throw new ArgumentOutOfRangeException(nameof(config), config.Fit, "there is no such fit"),
            };
            return ResizeWeights.Of(from, to, (to - config.Size) / 2, config.Size, config.Filter);
        }
    }
}
