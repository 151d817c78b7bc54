using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>What a rank has of ranges of the parameter space, and what a checkpoint calls it.</summary>
internal static class OwnedRanges
{
    /// <summary>The parts of a range that this rank's optimizer changes: all of it, or what lies in this rank's slices.</summary>
    public static IEnumerable<(long Offset, long Length)> Owned(this ParameterSpace space, long offset, long length)
    {
        if (!space.ShardsOptimizer) return [(offset, length)];
        return from slice in Slices(space)
               let begin = Math.Max(offset, slice.Offset)
               let end = Math.Min(offset + length, slice.Offset + slice.Length)
               where begin < end
               select (begin, end - begin);
    }

    /// <summary>A range that this rank owns, in a buffer of all of the space or of this rank's part of it.</summary>
    public static Tensor Cut(this ParameterSpace space, Tensor buffer, long offset, long length)
    {
        if (buffer.numel() == space.Size) return buffer.narrow(0, offset, length);
        var (bucket, slice) = space.Buckets.Zip(Slices(space)).Last(pair => pair.First.Offset <= offset);
        return space.Own(buffer, bucket).narrow(0, offset - slice.Offset, length);
    }

    /// <summary>
    /// A tensor of the space as a checkpoint holds it, so that any number of ranks can read it: what there is of each parameter, under the
    /// tensor's name, the parameter's, and which of the parameter's numbers is the first.
    /// </summary>
    /// <param name="space">Where the parameters lie.</param>
    /// <param name="name">What the numbers are.</param>
    /// <param name="tensor">The numbers, one range after the other.</param>
    /// <param name="ranges">Where in the space they belong.</param>
    public static IEnumerable<(string Name, Tensor Value)> Pieces(
        this ParameterSpace space, string name, Tensor tensor, IEnumerable<(long Offset, long Length)> ranges)
    {
        long used = 0;
        foreach (var (offset, length) in ranges)
        {
            foreach (var parameter in space.Parameters)
            {
                var (begin, end) = (Math.Max(offset, parameter.Offset), Math.Min(offset + length, parameter.Offset + parameter.Count));
                if (begin < end)
                    yield return ($"{name}.{parameter.Name}@{begin - parameter.Offset}", tensor.narrow(
                        0, used + begin - offset, end - begin));
            }
            used += length;
        }
    }

    /// <summary>The same of what this rank holds of a buffer that is laid out as <see cref="ParameterSpace.Values"/>.</summary>
    public static IEnumerable<(string Name, Tensor Value)> Pieces(this ParameterSpace space, string name, Tensor buffer) =>
        space.Pieces(name, buffer, buffer.numel() == space.Size ? [(0, space.Size)] : Slices(space));

    // This rank's slice of every bucket.
    private static IEnumerable<(long Offset, long Length)> Slices(ParameterSpace space) => space.Buckets.Select(bucket =>
        (bucket.Offset + space.Ranks.Rank * (bucket.Length / space.Ranks.Ranks), bucket.Length / space.Ranks.Ranks));
}
