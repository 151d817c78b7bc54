using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · S tokens so far · H heads · d_c latent width · d_r rotary width

/// <summary>
/// softmax(scale q latent^T) latent for the tokens of a batch: attention in which all heads have the same keys, whose first d_c components
/// are the values. Four heads of a token are computed at once, so that the latent vectors are read once for all four.
/// </summary>
internal sealed unsafe class LatentKernel : IParallelKernel
{
    private const int HeadsAtOnce = AttentionMath.Neighbours, Lanes = KeyValueState.Lanes;

    private readonly ThreadTeam team;
    private readonly Activations queries;
    private readonly Activations[] means;
    private readonly float scale;
    private readonly int width, latentWidth, groups, row;
    private readonly NativeArray<float>[] scratch;
    private TokenBatch batch = null!;
    private LatentState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="scale">What products of queries and latent vectors are multiplied by.</param>
    /// <param name="queries">The queries of all heads, as many as <see cref="PaddedHeads"/>: [N, H (d_c + d_r)].</param>
    /// <param name="means">Where the means of each head go: H x [N, d_c].</param>
    /// <param name="width">d_c + d_r.</param>
    public LatentKernel(InferencePlan plan, float scale, Activations queries, Activations[] means, int width)
    {
        (team, this.scale, this.queries, this.means, this.width) = (plan.Team, scale, queries, means, width);
        (latentWidth, groups) = (means[0].Width, PaddedHeads(means.Length) / HeadsAtOnce);
        row = (plan.Model.ContextLength + Lanes - 1) / Lanes * Lanes;
        scratch = [.. Enumerable.Range(0, team.Threads).Select(
            thread => plan.Workspace.Scratch(thread, HeadsAtOnce * (row + latentWidth)))];
    }

    /// <summary>The number of heads whose queries there must be room for.</summary>
    public static int PaddedHeads(int heads) => (heads + HeadsAtOnce - 1) / HeadsAtOnce * HeadsAtOnce;

    /// <summary>Computes the means of all tokens of a batch, whose latent vectors the state already holds.</summary>
    public void Run(TokenBatch batch, LatentState cache)
    {
        (this.batch, this.cache) = (batch, cache);
        team.Run(this, batch.Tokens * groups);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var (token, first) = (piece / groups, piece % groups * HeadsAtOnce);
        var latents = cache.Row(batch.Row(token));
        var count = batch.Position(token) + 1;
        var weights = scratch[thread].Pointer;
        var mean = weights + HeadsAtOnce * row;
        AttentionMath.Scores(queries.Row(token) + first * width, width, scale, latents, width, 0, count, weights, row);
        var sums = stackalloc float[HeadsAtOnce];
        for (var head = 0; head < HeadsAtOnce; head++)
        {
            sums[head] = AttentionMath.Exponentials(weights + head * row, count);
            new Span<float>(weights + head * row + count, -count & (Lanes - 1)).Clear();    // of the last eight those that are no tokens
        }
        Sum(weights, latents, count, mean);
        for (var head = 0; head < HeadsAtOnce && first + head < means.Length; head++)
            VectorKernels.Scale(1 / sums[head], mean + head * latentWidth, means[first + head].Row(token), latentWidth);
    }

    // sum over s of weight_s c_s for four heads. Two components at a time stay in registers, eight partial sums of each, while all tokens
    // are read. What no token has written may be anything, and is masked.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Sum(float* weights, float* latents, int count, float* sums)
    {
        var whole = count / Lanes * Lanes;
        var isToken = Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(count - whole)).AsSingle();
        for (var d = 0; d < latentWidth; d += 2)
        {
            var second = d + 1 < latentWidth ? Lanes : 0;
            var (a0, a1, a2, a3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            var (b0, b1, b2, b3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            var c = latents + d * Lanes;
            for (var s = 0; s < count; s += Lanes, c += Lanes * width)
            {
                var (a, b) = (Vector256.Load(c), Vector256.Load(c + second));
                if (s == whole) (a, b) = (a & isToken, b & isToken);
                var w = weights + s;
                var (w0, w1) = (Vector256.Load(w), Vector256.Load(w + row));
                var (w2, w3) = (Vector256.Load(w + 2 * row), Vector256.Load(w + 3 * row));
                (a0, b0) = (Vector256.FusedMultiplyAdd(w0, a, a0), Vector256.FusedMultiplyAdd(w0, b, b0));
                (a1, b1) = (Vector256.FusedMultiplyAdd(w1, a, a1), Vector256.FusedMultiplyAdd(w1, b, b1));
                (a2, b2) = (Vector256.FusedMultiplyAdd(w2, a, a2), Vector256.FusedMultiplyAdd(w2, b, b2));
                (a3, b3) = (Vector256.FusedMultiplyAdd(w3, a, a3), Vector256.FusedMultiplyAdd(w3, b, b3));
            }
            var to = sums + d;
            (to[0], to[latentWidth], to[2 * latentWidth], to[3 * latentWidth]) =
                (Vector256.Sum(a0), Vector256.Sum(a1), Vector256.Sum(a2), Vector256.Sum(a3));
            if (second == 0) break;
            (to[1], to[latentWidth + 1], to[2 * latentWidth + 1], to[3 * latentWidth + 1]) =
                (Vector256.Sum(b0), Vector256.Sum(b1), Vector256.Sum(b2), Vector256.Sum(b3));
        }
    }
}
