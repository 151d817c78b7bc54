using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// I pictures · c colours or channels · P side of a patch · N patches

/// <summary>
/// Patches of a picture, from left to right and then down, in each of them its numbers by channel, then row, then column (Dosovitskiy et
/// al. 2020, arXiv:2010.11929, section 3.1). A linear map of a patch is a convolution whose stride is that of the patches.
/// </summary>
public static class PatchEmbedding
{
    /// <summary>The patches.</summary>
    /// <param name="pictures">[I, c, H, W]</param>
    /// <param name="side">P.</param>
    /// <param name="stride">How far apart they begin; less than P where they overlap.</param>
    /// <returns>[I, N, c P P]</returns>
    public static Tensor Patches(Tensor pictures, long side, long stride) => pictures
        .unfold(2, side, stride).unfold(3, side, stride)                // [I, c, H', W', P, P]
        .permute(0, 2, 3, 1, 4, 5)                                      // [I, H', W', c, P, P]
        .flatten(3).flatten(1, 2);                                      // [I, N, c P P]
}
