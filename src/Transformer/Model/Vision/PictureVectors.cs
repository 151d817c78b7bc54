using static TorchSharp.torch;

namespace Transformer.Model.Vision;

// I pictures · N vectors of a picture · C width

/// <summary>The pictures of a pass, encoded.</summary>
/// <param name="Vectors">What the encoder and its projector made of each picture: [I, N, C].</param>
/// <param name="Of">For each picture in the text, in the order of rows and then places, which of them it is.</param>
public sealed record PictureVectors(Tensor Vectors, IReadOnlyList<int> Of);
