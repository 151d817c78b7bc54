using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Native;

namespace Transformer.Generation.Decoding;

// N tokens · S keys · H heads · G key/value heads · D head width

/// <summary>
/// softmax(scale q k^T + bias) v for the tokens of a pass, a head of a token at a time: the keys that it sees are read once for the scores, the values once
/// for their mean.
/// </summary>
internal sealed unsafe class AttentionWork : ITeamWork
{
    private readonly ThreadTeam team;
    private readonly Activations q, z;
    private readonly AttentionSpans? spans;
    private readonly DistanceBias? bias;
    private readonly int heads, sharing, width;
    private readonly float scale, cap;
    private readonly NativeArray<float>[] scratch;
    private readonly int contextLength;
    private Pass pass = null!;
    private KeyValueState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and options.</param>
    /// <param name="q">[N, H D]</param>
    /// <param name="z">[N, H D]</param>
    /// <param name="spans">How far back tokens see; all the way where null.</param>
    public AttentionWork(DecoderPlan plan, SoftmaxAttentionConfig config, Activations q, Activations z, AttentionSpans? spans)
    {
        (team, this.q, this.z, this.spans, bias) = (plan.Team, q, z, spans, plan.Bias);
        (heads, sharing, width) = (config.Heads, config.Heads / (config.KvHeads ?? config.Heads), config.HeadWidthAt(plan.Width));
        (scale, cap) = ((float)TokenMixer.Scale(plan.Model, config), (float)(config.LogitSoftCap ?? 0));
        contextLength = plan.Model.ContextLength;
        scratch = [.. Enumerable.Range(0, team.Threads).Select(thread => plan.Workspace.Scratch(thread, contextLength + (bias?.Scratch ?? 0)))];
    }

    /// <summary>Computes z for all tokens of a pass, whose keys and values the state already holds.</summary>
    public void Run(Pass pass, KeyValueState cache)
    {
        (this.pass, this.cache) = (pass, cache);
        team.Run(this, pass.Tokens * heads);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Do(int piece, int thread)
    {
        var (token, head) = (piece / heads, piece % heads);
        var (row, position) = (pass.Row(token), pass.Position(token));
        var span = spans?.Of(token, head) ?? position;
        var ramp = spans?.Ramp ?? 0;
        var from = (int)Math.Max(0, position - (long)(span + ramp));
        var count = position + 1 - from;
        var query = q.Row(token) + head * width;
        var keys = cache.TurnedKeys(row, head / sharing);
        var values = cache.Values(row, head / sharing);
        var scores = scratch[thread].Pointer;

        // The places are a ring: from the first key to its end, and on from its beginning.
        var place = from % cache.Places;
        var first = Math.Min(count, cache.Places - place);
        Scores(query, keys + (long)place * width, first, scores);
        Scores(query, keys, count - first, scores + first);
        bias?.Add(head, query, scale, scores, count, scores + contextLength);
        if (cap > 0) Cap(scores, count);
        var sum = Weigh(scores, count);
        if (ramp > 0) sum = Fade(scores, count, span, ramp) + (float)SoftmaxAttention.Epsilon * sum;

        var mean = z.Row(token) + head * width;
        new Span<float>(mean, width).Clear();
        AddValues(scores, values + (long)place * width, first, mean);
        AddValues(scores + first, values, count - first, mean);
        VectorKernels.Scale(1 / sum, mean, mean, width);
    }

    private void Scores(float* query, float* keys, int count, float* scores)
    {
        for (var key = 0; key < count; key++, keys += width) scores[key] = scale * Kernels.Dot(query, keys, width);
    }

    private void Cap(float* scores, int count)
    {
        for (var key = 0; key < count; key++) scores[key] = cap * MathF.Tanh(scores[key] / cap);
    }

    // e^(score - the greatest), and their sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Weigh(float* scores, int count)
    {
        var greatest = float.NegativeInfinity;
        for (var key = 0; key < count; key++) greatest = Math.Max(greatest, scores[key]);
        var (sum8, sum, i) = (Vector256<float>.Zero, 0f, 0);
        for (; i + 8 <= count; i += 8)
        {
            var weights = VectorMath.Exp(Vector256.Load(scores + i) - Vector256.Create(greatest));
            weights.Store(scores + i);
            sum8 += weights;
        }
        for (; i < count; i++) sum += scores[i] = MathF.Exp(scores[i] - greatest);
        return Vector256.Sum(sum8) + sum;
    }

    // The soft mask, m(x) = clamp(1 + (z - x) / R, 0, 1) at distance x, and the sum of what it leaves.
    private static float Fade(float* weights, int count, float span, int ramp)
    {
        var sum = 0f;
        for (var key = 0; key < count; key++)
            sum += weights[key] *= Math.Clamp(1 + (span - (count - 1 - key)) / ramp, 0, 1);
        return sum;
    }

    // Thirty-two components at a time stay in registers while the values pass by.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddValues(float* weights, float* values, int count, float* mean)
    {
        var d = 0;
        for (; d + 32 <= width; d += 32)
        {
            var (a, b, c, e) = (Vector256.Load(mean + d), Vector256.Load(mean + d + 8), Vector256.Load(mean + d + 16), Vector256.Load(mean + d + 24));
            var value = values + d;
            for (var key = 0; key < count; key++, value += width)
            {
                var weight = Vector256.Create(weights[key]);
                a = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value), a);
                b = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + 8), b);
                c = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + 16), c);
                e = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + 24), e);
            }
            a.Store(mean + d);
            b.Store(mean + d + 8);
            c.Store(mean + d + 16);
            e.Store(mean + d + 24);
        }
        if (d == width) return;
        for (var key = 0; key < count; key++, values += width) VectorKernels.AddScaled(weights[key], values + d, mean + d, width - d);
    }
}
