namespace Transformer.Inference.Cpu.Vision;

// c channels · S side of a picture · P side of a patch · W patches of a row

/// <summary>
/// Patches of a picture or of channels, from left to right, in each of them its numbers by channel, then row, then column. A convolution is
/// a linear map of its patches.
/// </summary>
/// <param name="channels">c.</param>
/// <param name="side">S.</param>
/// <param name="patch">P.</param>
/// <param name="stride">How far apart patches begin.</param>
/// <param name="padding">How many zeros stand around the picture.</param>
internal sealed unsafe class PicturePatches(int channels, int side, int patch, int stride, int padding)
{
    /// <summary>W.</summary>
    public int Columns { get; } = (side + 2 * padding - patch) / stride + 1;

    /// <summary>c P P.</summary>
    public int Width { get; } = channels * patch * patch;

    /// <summary>The patches of one row.</summary>
    /// <param name="picture">[c, S, S]</param>
    /// <param name="row">Which of the W rows.</param>
    /// <param name="to">[W, c P P]</param>
    public void Read(float* picture, int row, float* to)
    {
        for (var column = 0; column < Columns; column++)
        {
            var left = column * stride - padding;
            var (first, end) = (Math.Max(0, -left), Math.Min(patch, side - left));    // the columns within the picture
            for (var channel = 0; channel < channels; channel++)
            {
                for (var dy = 0; dy < patch; dy++, to += patch)
                {
                    var y = row * stride - padding + dy;
                    var line = new Span<float>(to, patch);
                    if (y < 0 || y >= side || first > 0 || end < patch) line.Clear();
                    if (y < 0 || y >= side) continue;
                    new ReadOnlySpan<float>(picture + ((long)channel * side + y) * side + left + first, end - first).CopyTo(line[first..]);
                }
            }
        }
    }
}
