using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// C tokens of a chunk · F feature width

/// <summary>
/// The decays between the tokens of a chunk. Each is e to a sum of logarithms that are never positive, and every sum is computed
/// separately: quotients of products would overflow under strong decays, and differences of long sums would lose weak ones to rounding.
/// </summary>
internal sealed class ChunkDecay
{
    private readonly Tensor? logarithms, between;

    /// <param name="logarithms">
    /// Of each token's decay, [..., C, 1], or [..., C, F] where each component decays by itself; null for no decay.
    /// </param>
    public ChunkDecay(Tensor? logarithms)
    {
        this.logarithms = logarithms;
        if (logarithms is null || logarithms.shape[^1] > 1) return;
        var tokens = logarithms.shape[^2];
        var sums = logarithms.expand([.. logarithms.shape[..^1], tokens]).tril(-1).cumsum(-2);    // [..., C, C], at i > j over j + 1 .. i
        between = sums.masked_fill(ones(tokens, tokens, ScalarType.Bool, sums.device).triu(1), double.NegativeInfinity).exp();
    }

    /// <summary>That of the whole chunk: [..., 1, 1 or F]; null for none.</summary>
    public Tensor? Whole => logarithms?.sum(-2, keepdim: true).exp();

    /// <summary>x_i, [..., C, F], as it is after all decays up to token i, its own included.</summary>
    public Tensor FromStart(Tensor x) => logarithms is null ? x : UpTo(logarithms).exp() * x;

    /// <summary>x_i, [..., C, F], as it is after all decays that follow token i.</summary>
    public Tensor ToEnd(Tensor x) => logarithms is null ? x : After(logarithms).exp() * x;

    /// <summary>a_i . b_j for j &lt;= i, b_j as it is after all decays that follow j, up to i; zero for later j.</summary>
    /// <param name="a">[..., C, F]</param>
    /// <param name="b">[..., C, F]</param>
    /// <returns>[..., C, C]</returns>
    public Tensor Products(Tensor a, Tensor b)
    {
        if (logarithms is not null && between is null) return ByHalves(a, b, logarithms);
        var products = matmul(a, b.transpose(-2, -1));
        return between is null ? products.tril() : between * products;
    }

    // Where components decay by themselves, each pair's decay must go into the factors. Between the halves of a chunk the decay up to the
    // middle goes into one and that from there into the other; inside each half the same holds again, both halves at once.
    private static Tensor ByHalves(Tensor a, Tensor b, Tensor logarithms)
    {
        var half = a.shape[^2] / 2;
        if (half == 0) return (a * b).sum(-1, keepdim: true);                                       // [..., 1, 1]
        (a, b, logarithms) = (Halves(a), Halves(b), Halves(logarithms));                            // [..., 2, C/2, F]
        var within = ByHalves(a, b, logarithms);                                                    // [..., 2, C/2, C/2]
        var left = a.select(-3, 1) * UpTo(logarithms.select(-3, 1)).exp();
        var right = b.select(-3, 0) * After(logarithms.select(-3, 0)).exp();
        var across = matmul(left, right.transpose(-2, -1));                                         // [..., C/2, C/2]
        var first = cat([within.select(-3, 0), zeros_like(across)], -1);
        return cat([first, cat([across, within.select(-3, 1)], -1)], -2);

        Tensor Halves(Tensor x) => x.reshape([.. x.shape[..^2], 2, half, x.shape[^1]]);
    }

    private static Tensor UpTo(Tensor logarithms) => logarithms.cumsum(-2);

    private static Tensor After(Tensor logarithms)
    {
        var next = nn.functional.pad(logarithms.narrow(-2, 1, logarithms.shape[^2] - 1), [0, 0, 0, 1]);
        return next.flip(-2).cumsum(-2).flip(-2);
    }
}
