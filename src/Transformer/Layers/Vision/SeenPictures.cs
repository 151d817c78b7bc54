using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// B batch · T tokens · I pictures · K pictures of a row · N vectors of a picture · C width

/// <summary>The pictures of a pass, as cross-attention reads them.</summary>
/// <param name="Vectors">What the encoder and its projector made of each picture: [I, N, C].</param>
/// <param name="OfRows">Which of them are a row's, from left to right; 0 behind the last one: [B, K].</param>
/// <param name="Last">How many of its row's pictures stand before a place, or in it: [B, T].</param>
public sealed record SeenPictures(Tensor Vectors, Tensor OfRows, Tensor Last)
{
    /// <summary>The pictures of a pass.</summary>
    /// <param name="vectors">[I, N, C]</param>
    /// <param name="of">For each placeholder, in the order of rows and then places, which picture it is.</param>
    /// <param name="placeholders">[B, T], true where a placeholder is.</param>
    public static SeenPictures Of(Tensor vectors, IReadOnlyList<int> of, Tensor placeholders)
    {
        var last = placeholders.to(ScalarType.Int64).cumsum(1);                                     // [B, T]
        var counts = last.select(1, -1).cpu().data<long>().ToArray();
        var (rows, most) = (counts.Length, (int)Math.Max(1, counts.Max()));
        var ofRows = new long[rows * most];
        for (var (row, next) = (0, 0); row < rows; row++)
            for (var k = 0; k < counts[row]; k++) ofRows[row * most + k] = of[next++];
        return new(vectors, tensor(ofRows, rows, most).to(vectors.device), last);
    }
}
