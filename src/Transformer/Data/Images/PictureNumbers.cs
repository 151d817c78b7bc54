using Transformer.Configuration;

namespace Transformer.Data.Images;

// I pictures · S side of a picture

/// <summary>Pictures as the numbers that a model reads.</summary>
internal static class PictureNumbers
{
    /// <summary>The numbers of pictures: [I, 3, S, S].</summary>
    public static float[] Of(IReadOnlyList<Picture> pictures, ImageConfig config)
    {
        var numbers = 3 * config.Size * config.Size;
        var all = new float[pictures.Count * numbers];
        Parallel.For(0, pictures.Count, (int index) =>
        {
            var picture = pictures[index];
            var to = all.AsSpan(index * numbers, numbers);
            if (picture.Width != config.Size || picture.Height != config.Size) throw new NotSupportedException("resizing");
            for (var place = 0; place < config.Size * config.Size; place++)
                for (var colour = 0; colour < 3; colour++)
                    to[colour * config.Size * config.Size + place] = (float)((picture.Pixels[place * 3 + colour] / 255.0
                        - config.Mean[colour]) / config.Deviation[colour]);
        });
        return all;
    }
}
