using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T queries · S keys · H heads · G key/value heads · D head width · W keys within reach

/// <summary>
/// Attention within a window on any device and type: queries are taken some rows at a time, and each block is multiplied only with the keys
/// that its window reaches, O(T W) in time and memory. Whole sequences in fp32 on the CPU take <see cref="CausalAttention"/> instead.
/// </summary>
internal static class WindowedAttention
{
    private const long Rows = 128;

    /// <param name="q">[B, H, T, D]</param>
    /// <param name="k">[B, G, S, D]; the last T keys are those of the queries. One query may have them in any order.</param>
    /// <param name="v">[B, G, S, D]</param>
    /// <param name="window">How far back each query sees.</param>
    /// <param name="queries">The queries' positions: [T] or [B, T].</param>
    /// <param name="keys">The keys' positions: [S] or [B, S]; negative where there is no key.</param>
    /// <param name="scale">What q k^T is multiplied by.</param>
    /// <param name="softCap">c in c * tanh(score / c); none where null.</param>
    /// <param name="dropout">The probability with which weights are dropped.</param>
    /// <param name="bias">What the distance adds to the scaled scores; none where null.</param>
    /// <param name="kernel">Whether fused kernels may compute a block.</param>
    /// <returns>[B, H, T, D]</returns>
    public static Tensor Apply(
        Tensor q, Tensor k, Tensor v, Window window, Tensor queries, Tensor keys,
        double scale, double? softCap, double dropout, ScoreBias? bias, SoftmaxKernel kernel)
    {
        var (T, S) = (q.shape[2], k.shape[2]);
        if (T <= Rows) return Block(q, k, v, window, queries, keys, scale, softCap, dropout, bias, kernel);

        // In chunks rather than in slices: the gradient of a slice is as large as the whole, that of a chunk is not.
        long[] rows = [.. Enumerable.Range(0, (int)((T + Rows - 1) / Rows)).Select(block => Math.Min(Rows, T - block * Rows))];
        var (qs, ks, vs) = (q.split(rows, 2), k.split([S - T, .. rows], 2), v.split([S - T, .. rows], 2));
        var earlier = (window.Keys() - 1 + Rows - 1) / Rows;                                        // chunks within the first query's reach
        var blocks = new List<Tensor>();
        for (var block = 0; block < rows.Length; block++)
        {
            var from = (int)Math.Max(0, block + 1 - earlier);
            var (first, last) = (block * Rows, S - T + block * Rows + rows[block]);
            var count = ks[from..(block + 2)].Sum(chunk => chunk.shape[2]);
            blocks.Add(Block(
                qs[block], cat(ks[from..(block + 2)], 2), cat(vs[from..(block + 2)], 2), window.Of(first, rows[block]),
                queries.narrow(-1, first, rows[block]), keys.narrow(-1, last - count, count), scale, softCap, dropout, bias, kernel));
        }
        return cat(blocks, 2);
    }

    private static Tensor Block(
        Tensor q, Tensor k, Tensor v, Window window, Tensor queries, Tensor keys,
        double scale, double? softCap, double dropout, ScoreBias? bias, SoftmaxKernel kernel)
    {
        var distance = queries.unsqueeze(-1) - keys.unsqueeze(-2);                                  // [T, S] or [B, T, S]
        distance = distance.dim() == 2 ? distance.unsqueeze(0).unsqueeze(0) : distance.unsqueeze(1);
        var exists = keys.dim() == 1 ? keys >= 0 : (keys >= 0).unsqueeze(1).unsqueeze(1);           // [S] or [B, 1, 1, S]
        var visible = window.Reaches(distance).logical_and(exists);                                 // [B or 1, H or 1, T, S]
        if (kernel == SoftmaxKernel.Fused && window.Ramp == 0 && softCap is null && bias is null)
            return SoftmaxAttention.Fused(q, k, v, visible, dropout, causal: false, scale);
        return SoftmaxAttention.Explicit(
            q, k, v, scale, visible, softCap, dropout, bias?.call(q, queries, keys), window.SoftMask(distance));
    }
}
