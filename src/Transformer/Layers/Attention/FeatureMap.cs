using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// D head width · F feature width

/// <summary>
/// Functions phi of queries and keys whose product phi(q) . phi(k) stands in for softmax's exp(q . k) and is never negative, so that sums
/// over keys can be taken before the query is known.
/// </summary>
public static class FeatureMap
{
    /// <summary>elu(x) + 1 (Katharopoulos et al. 2020, equation 7).</summary>
    /// <param name="x">[..., D]</param>
    /// <returns>[..., D]</returns>
    public static Tensor Elu(Tensor x) => nn.functional.elu(x, 1) + 1;

    /// <summary>
    /// The deterministic parameter-free projection (Schlag et al. 2021, equation 37): component 2 D (j - 1) + i is r_i r_{i+j}, with
    /// r = relu([x, -x]) and indices modulo 2 D, for j = 1 .. nu. At most D of the r are not zero, so keys hardly overlap.
    /// </summary>
    /// <param name="x">[..., D]</param>
    /// <param name="nu">How many shifts.</param>
    /// <param name="backward">Whether i is paired with i - j instead: the same products, each j rotated.</param>
    /// <returns>[..., 2 nu D]</returns>
    public static Tensor Dpfp(Tensor x, int nu, bool backward = false)
    {
        var r = nn.functional.relu(cat([x, -x], -1));                                               // [..., 2 D]
        return cat([.. Enumerable.Range(1, nu).Select(j => r * r.roll(backward ? j : -j, -1))], -1);               // [..., 2 nu D]
    }

    /// <summary>
    /// Features with phi(q) . phi(k) = 1 + s + s^2 / 2 for the score s = q . k / sqrt(D), the beginning of exp(s) (Arora et al. 2024,
    /// Based).
    /// </summary>
    /// <param name="x">[..., D]</param>
    /// <returns>[..., 1 + D + D^2]</returns>
    public static Tensor Taylor(Tensor x)
    {
        x = x / Math.Pow(x.shape[^1], 0.25);
        var squares = (x.unsqueeze(-1) * x.unsqueeze(-2)).flatten(-2) / Math.Sqrt(2);               // [..., D^2]
        return cat([ones_like(x.narrow(-1, 0, 1)), x, squares], -1);
    }
}
