using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>The parts of parameter ranges that a rank owns, and their names in a checkpoint.</summary>
internal static class OwnedRanges
{
    /// <summary>The parts of a range that this rank's optimizer updates: all of it, or those in this rank's slices.</summary>
    public static IEnumerable<(long Offset, long Length)> Owned(this ParameterSpace space, long offset, long length)
    {
        if (!space.ShardsOptimizer) return [(offset, length)];
        return from slice in Slices(space)
               let begin = Math.Max(offset, slice.Offset)
               let end = Math.Min(offset + length, slice.Offset + slice.Length)
               where begin < end
               select (begin, end - begin);
    }

    /// <summary>A range that this rank owns, in a buffer of the whole space or of this rank's part.</summary>
    public static Tensor Cut(this ParameterSpace space, Tensor buffer, long offset, long length)
    {
        if (buffer.numel() == space.Size) return buffer.narrow(0, offset, length);
        var (bucket, slice) = space.Buckets.Zip(Slices(space)).Last(pair => pair.First.Offset <= offset);
        return space.Own(buffer, bucket).narrow(0, offset - slice.Offset, length);
    }

    /// <summary>
    /// A tensor of the space as a checkpoint stores it, readable by any number of ranks: a piece per parameter, named after the tensor, the
    /// parameter and the index of its first number.
    /// </summary>
    /// <param name="space">The parameter space.</param>
    /// <param name="name">The tensor's name.</param>
    /// <param name="tensor">The numbers of the ranges, concatenated.</param>
    /// <param name="ranges">Their ranges in the space.</param>
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

    /// <summary>The same for this rank's part of a buffer laid out as <see cref="ParameterSpace.Values"/>.</summary>
    public static IEnumerable<(string Name, Tensor Value)> Pieces(this ParameterSpace space, string name, Tensor buffer) =>
        space.Pieces(name, buffer, buffer.numel() == space.Size ? [(0, space.Size)] : Slices(space));

    // This rank's slice of every bucket.
    private static IEnumerable<(long Offset, long Length)> Slices(ParameterSpace space) => space.Buckets.Select(bucket =>
        (bucket.Offset + space.Ranks.Rank * (bucket.Length / space.Ranks.Ranks), bucket.Length / space.Ranks.Ranks));
}
