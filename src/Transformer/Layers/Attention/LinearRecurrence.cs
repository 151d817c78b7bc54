using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · H heads · F feature width · E value width · C tokens of a chunk · N chunks

/// <summary>
/// The recurrence of linear attention and its relatives. Each head has a matrix S that maps keys to values; token t lets it decay, writes
/// and reads:
/// <code>
/// S = alpha_t S
/// u = v_t                             or, under the delta rule, beta_t (v_t - S^T k_t)
/// S = S + k_t u^T
/// o_t = S^T q_t
/// </code>
/// Three ways to the same numbers. All take q and k [B, H, T, F], v [B, H, T, E], the logarithms of the decays [B, H, T, 1] or, one a
/// component of the key, [B, H, T, F] (null for alpha = 1), beta [B, H, T, 1] (null for u = v), and the state [B, H, F, E] before the first
/// token (null for zeros). They return o [B, H, T, E] and the state after the last token.
/// </summary>
public static class LinearRecurrence
{
    /// <summary>Token by token, as written above: T steps, and the step of generation.</summary>
    public static (Tensor Output, Tensor State) Recurrent(Tensor q, Tensor k, Tensor v, Tensor? logDecay, Tensor? beta, Tensor? state)
    {
        var S = state ?? Empty(k, v);
        var outputs = new List<Tensor>();
        for (long t = 0; t < q.shape[2]; t++)
        {
            var (qt, kt, u) = (q.narrow(2, t, 1), k.narrow(2, t, 1), v.narrow(2, t, 1));            // 2 x [B, H, 1, F], [B, H, 1, E]
            if (logDecay is not null) S = logDecay.narrow(2, t, 1).exp().transpose(-2, -1) * S;
            if (beta is not null) u = beta.narrow(2, t, 1) * (u - matmul(kt, S));
            S = S + matmul(kt.transpose(-2, -1), u);                                                // [B, H, F, E]
            outputs.Add(matmul(qt, S));
        }
        return (cat(outputs, 2), S);
    }

    /// <summary>
    /// All tokens at once, with T x T scores as in softmax attention: each output is the sum of the values written, weighted by the product
    /// of query and key and the decay between the two. Under the delta rule the values written, U, solve one triangular system.
    /// </summary>
    public static (Tensor Output, Tensor State) Explicit(Tensor q, Tensor k, Tensor v, Tensor? logDecay, Tensor? beta, Tensor? state)
    {
        var S = state ?? Empty(k, v);
        var g = logDecay?.cumsum(2) ?? zeros_like(k.narrow(3, 0, 1));                               // [B, H, T, 1 or F]
        var later = ones(q.shape[2], q.shape[2], ScalarType.Bool, q.device).triu(1).unsqueeze(-1);  // [T, T, 1]
        var decay = (g.unsqueeze(3) - g.unsqueeze(2)).masked_fill(later, double.NegativeInfinity).exp();    // [B, H, T, T, 1 or F]
        var scores = (decay * q.unsqueeze(3) * k.unsqueeze(2)).sum(-1);                             // [B, H, T, T]
        var U = v;
        if (beta is not null)
        {
            var overlaps = (decay * k.unsqueeze(3) * k.unsqueeze(2)).sum(-1).tril(-1);              // [B, H, T, T]
            U = linalg.solve(eye(q.shape[2], dtype: q.dtype, device: q.device) + beta * overlaps, beta * (v - matmul(g.exp() * k, S)));
        }
        var last = g.narrow(2, g.shape[2] - 1, 1);                                                  // [B, H, 1, 1 or F]
        var end = last.exp().transpose(-2, -1) * S + matmul(((last - g).exp() * k).transpose(-2, -1), U);
        return (matmul(g.exp() * q, S) + matmul(scores, U), end);
    }

    /// <summary>
    /// Chunk by chunk, which computes whole texts in time that grows with T (Yang et al. 2024, arXiv:2406.06484 and arXiv:2412.06464):
    /// inside all chunks at once as <see cref="Explicit"/> does, and only the states go from chunk to chunk. C is a power of two and
    /// changes the speed, not the result: the last chunk is padded with tokens that write nothing.
    /// </summary>
    public static (Tensor Output, Tensor State) Chunkwise(
        Tensor q, Tensor k, Tensor v, Tensor? logDecay, Tensor? beta, Tensor? state, int chunk)
    {
        if (!int.IsPow2(chunk)) throw new ArgumentOutOfRangeException(nameof(chunk), chunk, "a chunk is a power of two tokens");
        var tokens = q.shape[2];
        (q, k, v) = (Chunks(q, chunk), Chunks(k, chunk), Chunks(v, chunk));                         // [B, H, N, C, F or E]
        var decay = new ChunkDecay(logDecay is null ? null : Chunks(logDecay, chunk));

        // What a chunk writes is U - W S, S being the state before it; without the delta rule W is zero.
        var (U, W) = (v, (Tensor?)null);
        if (beta is not null)
        {
            var b = Chunks(beta, chunk);
            var solution = TriangularInverse.Of(b * decay.Products(k, k));                          // [B, H, N, C, C]
            (U, W) = (matmul(solution, b * v), matmul(solution, b * decay.FromStart(k)));
        }
        var (before, end) = Carry(decay.ToEnd(k).transpose(-2, -1), U, W, decay.Whole?.transpose(-2, -1), state ?? Empty(k, v));

        if (W is not null) U = U - matmul(W, before);
        var output = matmul(decay.FromStart(q), before) + matmul(decay.Products(q, k), U);         // [B, H, N, C, E]
        return (output.flatten(2, 3).narrow(2, 0, tokens), end);
    }

    // The states before each chunk, [B, H, N, F, E], and after the last: S = decay S + K^T (U - W S), put as (decay - K^T W) S + K^T U so
    // that all but one product a chunk is done for all chunks at once.
    private static (Tensor Before, Tensor End) Carry(Tensor transposedKeys, Tensor U, Tensor? W, Tensor? decay, Tensor S)
    {
        var written = matmul(transposedKeys, U).unbind(2);                                          // N x [B, H, F, E]
        if (W is not null)
        {
            var kept = matmul(transposedKeys, -W);                                                  // [B, H, N, F, F]
            decay = kept + diag_embed((decay ?? ones_like(kept.narrow(-1, 0, 1))).squeeze(-1).expand(kept.shape[..^1]));
        }
        var kepts = decay?.unbind(2);
        var before = new List<Tensor>();
        for (var n = 0; n < written.Length; n++)
        {
            before.Add(S);
            var kept = kepts is null ? S : W is null ? kepts[n] * S : matmul(kepts[n], S);
            S = kept + written[n];
        }
        return (stack(before, 2), S);
    }

    // Tokens past the text have zeros: no decay, no key, no beta.
    private static Tensor Chunks(Tensor x, int chunk)
    {
        var padding = (chunk - x.shape[2] % chunk) % chunk;
        if (padding > 0) x = nn.functional.pad(x, [0, 0, 0, padding]);
        return x.reshape(x.shape[0], x.shape[1], -1, chunk, x.shape[3]);
    }

    private static Tensor Empty(Tensor k, Tensor v) =>
        zeros(k.shape[0], k.shape[1], k.shape[^1], v.shape[^1], dtype: k.dtype, device: k.device);
}
