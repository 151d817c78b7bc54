using Transformer.Configuration;

namespace Transformer.Data.Images;

/// <summary>Of which neighbouring pixels of a side a new pixel is made, and of how much of each.</summary>
/// <param name="First">The first of them.</param>
/// <param name="Weights">Their weights, which sum to 1, in fixed point: times 2^22, as Pillow has them for bytes.</param>
internal sealed record ResizeWeights(int First, int[] Weights)
{
    /// <summary>The bits behind the point: of 32, a level takes 8, and 2 are left for the sign and for partial sums above 1.</summary>
    public const int Bits = 22;

    private const int One = 1 << Bits;

    /// <summary>One past the last of the pixels.</summary>
    public int End => First + Weights.Length;

    /// <summary>The weights of some neighbouring new pixels of a side.</summary>
    /// <param name="from">How many pixels the side has.</param>
    /// <param name="to">How many new ones the whole side would have.</param>
    /// <param name="first">The first new one that is wanted.</param>
    /// <param name="count">How many are wanted.</param>
    /// <param name="filter">How they are made.</param>
    public static ResizeWeights[] Of(int from, int to, int first, int count, ImageFilter filter)
    {
        if (filter == ImageFilter.Nearest) return Nearest(from, to, first, count);
        var (radius, kernel) = Kernel(filter);
        var scale = (double)from / to;
        var spread = Math.Max(1, scale);    // antialias: a new pixel that covers several is made of all of them
        return [.. Enumerable.Range(first, count).Select(At)];

        ResizeWeights At(int i)
        {
            var centre = (i + 0.5) * scale;
            var start = Math.Max(0, (int)(centre - radius * spread + 0.5));
            var end = Math.Min(from, (int)(centre + radius * spread + 0.5));
            var weights = Enumerable.Range(start, end - start).Select(x => kernel((x - centre + 0.5) / spread)).ToArray();
            var sum = weights.Sum();
            return new(start, Array.ConvertAll(weights, weight => (int)Math.Round(weight / sum * One, MidpointRounding.AwayFromZero)));
        }
    }

    // The centre is stepped, not multiplied: where it falls between two pixels, rounding decides, and this is how Pillow rounds.
    private static ResizeWeights[] Nearest(int from, int to, int first, int count)
    {
        var weights = new ResizeWeights[count];
        var scale = (double)from / to;
        var centre = scale / 2;
        for (var i = 0; i < first + count; i++, centre += scale)
            if (i >= first) weights[i - first] = new(Math.Min((int)centre, from - 1), [One]);
        return weights;
    }

    // How far the kernel reaches, and its value at a distance in pixels.
    private static (double Radius, Func<double, double> Kernel) Kernel(ImageFilter filter) => filter switch
    {
        ImageFilter.Box => (0.5, x => x is > -0.5 and <= 0.5 ? 1 : 0),
        ImageFilter.Bilinear => (1, x => Math.Max(0, 1 - Math.Abs(x))),
        ImageFilter.Bicubic => (2, x => Cubic(Math.Abs(x))),
        ImageFilter.Lanczos => (3, x => Math.Abs(x) < 3 ? Sinc(x) * Sinc(x / 3) : 0),
        _ => throw new ArgumentOutOfRangeException(nameof(filter), filter, "there is no such filter"),
    };

    private static double Cubic(double x)
    {
        const double a = -0.5;
        return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
            : x < 2 ? a * (((x - 5) * x + 8) * x - 4)
            : 0;
    }

    private static double Sinc(double x) => x == 0 ? 1 : Math.Sin(Math.PI * x) / (Math.PI * x);
}
