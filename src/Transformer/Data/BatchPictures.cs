using Transformer.Data.Images;

namespace Transformer.Data;

/// <summary>The pictures of a batch; rows that ask about the same picture share one.</summary>
/// <param name="Distinct">Each picture once.</param>
/// <param name="Of">
/// For each <see cref="Batch.ImagePlaceholder"/>, in the order of the rows and then of the places, which of the pictures is read there.
/// </param>
public sealed record BatchPictures(IReadOnlyList<Picture> Distinct, IReadOnlyList<int> Of)
{
    /// <summary>The pictures of some placeholders that follow one another, and no others.</summary>
    internal BatchPictures Slice(int first, int count)
    {
        int[] of = [.. Of.Skip(first).Take(count)];
        int[] used = [.. of.Distinct()];
        return new([.. used.Select(index => Distinct[index])], [.. of.Select(index => Array.IndexOf(used, index))]);
    }
}
