using static TorchSharp.torch;

namespace Transformer.Model.Vision;

// B batch · T tokens · I pictures · N vectors of a picture · C width

/// <summary>The pictures of a pass, encoded.</summary>
/// <param name="Vectors">What the encoder and its projector made of each picture: [I, N, C].</param>
/// <param name="Of">For each picture in the text, in the order of rows and then places, which of them it is.</param>
public sealed record PictureVectors(Tensor Vectors, IReadOnlyList<int> Of)
{
    /// <summary>The vectors in the order of the placeholders of a text: row by row, from left to right.</summary>
    /// <param name="ids">[B, T], below 0 at the placeholders.</param>
    /// <param name="isMark">Whether one place stands for a picture, and not one for each of its vectors.</param>
    /// <returns>[P, N, C], for P pictures in the text.</returns>
    /// <exception cref="ArgumentException">A row has more or fewer placeholders than its pictures.</exception>
    internal Tensor InPlaces(Tensor ids, bool isMark)
    {
        // In each row, since too few in one and too many in another would show one row the other's picture.
        var places = isMark ? 1 : Vectors.shape[1];
        var counts = (ids < 0).sum(1).cpu().data<long>().ToArray();
        if (counts.Sum() != places * Of.Count || Array.Exists(counts, count => count % places != 0))
            throw new ArgumentException(
                $"{string.Join(", ", counts)} placeholders in the rows for {Of.Count} pictures of {places} each", nameof(ids));
        return Vectors.index_select(0, tensor(Of.Select(picture => (long)picture).ToArray()).to(Vectors.device));
    }
}
