using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · S tokens so far · H heads · d_c latent width · d_r rotary width

/// <summary>
/// softmax(scale q latent^T) latent for the tokens of a batch: attention in which all heads have the same keys, whose first d_c components
/// are the values. Heads are computed four at a time, and up to sixteen read a block of latent vectors while it is in the core's own cache.
/// </summary>
internal sealed unsafe class LatentKernel : IParallelKernel
{
    private const int Four = AttentionMath.Neighbours, Lanes = KeyValueState.Lanes;
    private const int MostHeads = 16, Block = 128;

    private readonly ThreadTeam team;
    private readonly Activations queries;
    private readonly Activations[] means;
    private readonly float scale;
    private readonly int width, latentWidth, row;
    private readonly int heads, parts;    // of a piece, and of a token
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
        latentWidth = means[0].Width;
        row = (plan.Model.MostPlaces + Lanes - 1) / Lanes * Lanes;
        heads = Math.Min(MostHeads, PaddedHeads((means.Length + team.Threads - 1) / team.Threads));
        parts = (means.Length + heads - 1) / heads;
        scratch = [.. Enumerable.Range(0, team.Threads).Select(thread => plan.Workspace.Scratch(thread, heads * (row + latentWidth)))];
    }

    /// <summary>The number of heads whose queries there must be room for.</summary>
    public static int PaddedHeads(int heads) => (heads + Four - 1) / Four * Four;

    /// <summary>Computes the means of all tokens of a batch, whose latent vectors the state already holds.</summary>
    public void Run(TokenBatch batch, LatentState cache)
    {
        (this.batch, this.cache) = (batch, cache);
        team.Run(this, batch.Tokens * parts);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var (token, first) = (piece / parts, piece % parts * heads);
        var (count, end) = (batch.Position(token) + 1, Math.Min(heads, PaddedHeads(means.Length - first)));
        var latents = cache.Row(batch.Row(token));
        var query = queries.Row(token) + first * width;
        var weights = scratch[thread].Pointer;                // [heads, row]
        var sums = weights + heads * row;                     // [heads, d_c]
        for (var from = 0; from < count; from += Block)
        {
            var tokens = Math.Min(Block, count - from);
            for (var head = 0; head < end; head += Four)
                AttentionMath.Scores(query + head * width, width, scale, latents, width, from, tokens, weights + head * row + from, row);
        }
        var totals = stackalloc float[MostHeads];
        for (var head = 0; head < end; head++)
        {
            totals[head] = AttentionMath.Exponentials(weights + head * row, count);
            new Span<float>(weights + head * row + count, -count & (Lanes - 1)).Clear();    // of the last eight those that are no tokens
        }
        new Span<float>(sums, end * latentWidth).Clear();
        for (var from = 0; from < count; from += Block)
            for (var head = 0; head < end; head += Four)
                Add(weights + head * row, latents, from, count, sums + head * latentWidth);
        for (var head = 0; head < end && first + head < means.Length; head++)
            VectorKernels.Scale(1 / totals[head], sums + head * latentWidth, means[first + head].Row(token), latentWidth);
    }

    // Adds weight_s c_s of a block of tokens for four heads. Two components at a time stay in registers, eight partial sums of each, while
    // the block is read. What no token has written may be anything, and is masked.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Add(float* weights, float* latents, int from, int count, float* sums)
    {
        var (whole, end) = (count / Lanes * Lanes, Math.Min(from + Block, count));
        var isToken = Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(count - whole)).AsSingle();
        nint group = Lanes * width, next = row;               // from eight tokens to the next, and from one head's weights to the next's
        for (var d = 0; d < latentWidth; d += 2)
        {
            var second = d + 1 < latentWidth ? Lanes : 0;
            var (a0, a1, a2, a3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            var (b0, b1, b2, b3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            var c = latents + (long)from * width + d * Lanes;
            var w = weights + from;
            for (var s = from; s < end; s += Lanes, c += group, w += Lanes)
            {
                var (a, b) = (Vector256.Load(c), Vector256.Load(c + second));
                if (s == whole) (a, b) = (a & isToken, b & isToken);
                var (w0, w1) = (Vector256.Load(w), Vector256.Load(w + next));
                var (w2, w3) = (Vector256.Load(w + 2 * next), Vector256.Load(w + 3 * next));
                a0 = Vector256.FusedMultiplyAdd(w0, a, a0);
                b0 = Vector256.FusedMultiplyAdd(w0, b, b0);
                a1 = Vector256.FusedMultiplyAdd(w1, a, a1);
                b1 = Vector256.FusedMultiplyAdd(w1, b, b1);
                a2 = Vector256.FusedMultiplyAdd(w2, a, a2);
                b2 = Vector256.FusedMultiplyAdd(w2, b, b2);
                a3 = Vector256.FusedMultiplyAdd(w3, a, a3);
                b3 = Vector256.FusedMultiplyAdd(w3, b, b3);
            }
            Add(sums + d, a0, a1, a2, a3);
            if (second > 0) Add(sums + d + 1, b0, b1, b2, b3);
        }
    }

    private void Add(float* sums, Vector256<float> first, Vector256<float> second, Vector256<float> third, Vector256<float> fourth)
    {
        sums[0] += Vector256.Sum(first);
        sums[latentWidth] += Vector256.Sum(second);
        sums[2 * latentWidth] += Vector256.Sum(third);
        sums[3 * latentWidth] += Vector256.Sum(fourth);
    }
}
