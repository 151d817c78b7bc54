using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · S keys · H heads · G key/value heads · D head width

/// <summary>
/// softmax(scale q k^T + bias) v for the tokens of a batch, one head at a time. Where a row has several tokens, four neighbouring ones are
/// computed at once, so that the keys and values that they see are read once for all four. A token sees the keys up to its own, or all of
/// its row's.
/// </summary>
internal sealed unsafe class AttentionKernel : IParallelKernel
{
    private const int Neighbours = AttentionMath.Neighbours;

    // Scores are computed for whole groups of eight keys, which may begin before the first key and end behind the last.
    private const int Margin = 16;

    private readonly ThreadTeam team;
    private readonly Activations q, z;
    private readonly AttentionSpans? spans;
    private readonly AttentionBias? bias;
    private readonly int heads, sharing, width;
    private readonly float scale, cap;
    private readonly NativeArray<float>[] scratch;
    private readonly int row;    // of the scratch
    private readonly int most;   // keys that a token sees
    private readonly bool isCausal;
    private readonly int[] firsts, counts;
    private int groups;
    private TokenBatch batch = null!;
    private KeyValueState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">The heads.</param>
    /// <param name="keyValueHeads">G.</param>
    /// <param name="scale">What q k^T is multiplied by.</param>
    /// <param name="q">[N, H D]</param>
    /// <param name="z">[N, H D]</param>
    /// <param name="bias">What is added to the scores; nothing where null.</param>
    /// <param name="spans">How far back tokens see; without limit where null.</param>
    /// <param name="softCap">c in c * tanh(score / c); none where null.</param>
    /// <param name="keys">The most keys that a token sees; those of a pass where null.</param>
    /// <param name="isCausal">Whether a token sees the keys up to its own; else each sees as many keys as that, all of its row's.</param>
    public AttentionKernel(
        InferencePlan plan, HeadedAttentionConfig config, int keyValueHeads, double scale, Activations q, Activations z,
        AttentionBias? bias,
        AttentionSpans? spans = null, double? softCap = null, int? keys = null, bool isCausal = true)
    {
        this.isCausal = isCausal;
        (team, this.q, this.z, this.spans, this.bias) = (plan.Team, q, z, spans, bias);
        (heads, sharing, width) = (config.Heads, config.Heads / keyValueHeads, config.HeadWidthAt(plan.Width));
        (this.scale, cap) = ((float)scale, (float)(softCap ?? 0));
        (most, row) = (keys ?? int.MaxValue, Margin + (keys ?? plan.Model.MostPlaces) + Neighbours + Margin);
        scratch = [
            .. Enumerable.Range(0, team.Threads).Select(thread => plan.Workspace.Scratch(thread, Neighbours * row + (bias?.Scratch ?? 0)))];
        (firsts, counts) = (new int[q.Tokens], new int[q.Tokens]);
    }

    /// <summary>Computes z for all tokens of a batch, whose keys and values the state already holds.</summary>
    public void Run(TokenBatch batch, KeyValueState cache)
    {
        Begin(batch, cache);
        for (var span = 0; span < batch.Spans; span++) Add(batch.First(span), batch.Count(span));
        Run();
    }

    /// <summary>Begins a computation of z for some of the tokens of a batch.</summary>
    public void Begin(TokenBatch batch, KeyValueState cache) => (this.batch, this.cache, groups) = (batch, cache, 0);

    /// <summary>Adds neighbouring tokens of one row to those that are computed.</summary>
    public void Add(int first, int count)
    {
        for (var token = first; token < first + count; token += Neighbours)
            (firsts[groups], counts[groups++]) = (token, Math.Min(Neighbours, first + count - token));
    }

    /// <summary>Computes z for the tokens that were added, whose keys and values the state already holds.</summary>
    public void Run()
    {
        if (groups > 0) team.Run(this, groups * heads);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var (token, count, head) = (firsts[piece / heads], counts[piece / heads], piece % heads);
        var last = token + count - 1;
        if (count == Neighbours && SpansOverlap(token, head)) Four(token, head, thread);
        else
            for (; token <= last; token++) One(token, head, thread);
    }

    private void One(int token, int head, int thread)
    {
        var (first, end) = (First(token, head), End(token));
        var query = q.Row(token) + head * width;
        var mean = z.Row(token) + head * width;
        var keys = cache.Keys(batch.Row(token), head / sharing);
        var values = cache.Values(batch.Row(token), head / sharing);
        var scores = scratch[thread].Pointer + Margin;
        for (var s = first; s < end; s = RunEnd(s, end))
            AttentionMath.Scores(query, scale, keys, width, s % cache.Slots, RunEnd(s, end) - s, scores + s - first);
        var sum = Weigh(token, head, scores, end - first, thread);
        new Span<float>(mean, width).Clear();
        AddValues(scores, first, end, values, mean);
        VectorKernels.Scale(1 / sum, mean, mean, width);
    }

    // As One, in the same order of operations, for four neighbouring tokens: all keys, and the values that all four see, are read once.
    private void Four(int token, int head, int thread)
    {
        var (first, end) = (First(token, head), End(token + Neighbours - 1));
        var (firstOfAll, endOfAll) = (First(token + Neighbours - 1, head), End(token));
        var query = q.Row(token) + head * width;
        var mean = z.Row(token) + head * width;
        var keys = cache.Keys(batch.Row(token), head / sharing);
        var values = cache.Values(batch.Row(token), head / sharing);
        var scores = scratch[thread].Pointer + Margin;
        for (var s = first; s < end; s = RunEnd(s, end))
            AttentionMath.Scores(query, q.Width, scale, keys, width, s % cache.Slots, RunEnd(s, end) - s, scores + s - first, row);
        var sums = stackalloc float[Neighbours];
        for (var t = 0; t < Neighbours; t++)
        {
            var own = First(token + t, head);
            sums[t] = Weigh(token + t, head, scores + t * row + own - first, End(token + t) - own, thread);
            new Span<float>(mean + t * z.Width, width).Clear();
            AddValues(scores + t * row + own - first, own, firstOfAll, values, mean + t * z.Width);
        }
        for (var s = firstOfAll; s < endOfAll; s = RunEnd(s, endOfAll))
            AttentionMath.AddValues(
                scores + s - first, row, values + (long)(s % cache.Slots) * width, RunEnd(s, endOfAll) - s, mean, z.Width, width);
        for (var t = 0; t < Neighbours; t++)
        {
            AddValues(scores + t * row + endOfAll - first, endOfAll, End(token + t), values, mean + t * z.Width);
            VectorKernels.Scale(1 / sums[t], mean + t * z.Width, mean + t * z.Width, width);
        }
    }

    // Whether the spans of four neighbouring tokens begin within four keys of each other, in order, and
    // all of them reach the first one's own key.
    private bool SpansOverlap(int token, int head)
    {
        var first = First(token, head);
        for (var (t, before) = (1, first); t < Neighbours; t++)
        {
            var own = First(token + t, head);
            if (own < before || own >= first + Neighbours || own >= End(token)) return false;
            before = own;
        }
        return true;
    }

    // The first key that a token's head sees.
    private int First(int token, int head) =>
        Math.Max(spans is null ? 0 : (int)Math.Max(0, Place(token) - (long)(spans.Of(token, head) + spans.Ramp)), End(token) - most);

    // One past the last key that a token sees.
    private int End(int token) => isCausal ? Place(token) + 1 : most;

    // The index of a token's own key in its row.
    private int Place(int token) => cache.Held(batch.Row(token)) + batch.Position(token);

    // The slots are a ring buffer: one past the last key of the contiguous run that begins with key s.
    private int RunEnd(int s, int end) => (int)Math.Min(end, s + (long)(cache.Slots - s % cache.Slots));

    // Replaces the scores of a token's keys by their weights. Returns the sum of the weights.
    private float Weigh(int token, int head, float* scores, int count, int thread)
    {
        bias?.Add(
            new(batch.Row(token), head, Place(token)), q.Row(token) + head * width, scale, scores, count,
            scratch[thread].Pointer + Neighbours * row);
        if (cap > 0) Cap(scores, count);
        var sum = AttentionMath.Exponentials(scores, count);
        if (spans is not { Ramp: > 0 }) return sum;
        return Fade(scores, count, spans.Of(token, head), spans.Ramp) + (float)LearnedWindowConfig.Epsilon * sum;
    }

    private void Cap(float* scores, int count)
    {
        for (var key = 0; key < count; key++) scores[key] = cap * MathF.Tanh(scores[key] / cap);
    }

    // Multiplies by the soft mask m(x) = clamp(1 + (z - x) / R, 0, 1) at distance x. Returns the sum.
    private static float Fade(float* weights, int count, float span, int ramp)
    {
        var sum = 0f;
        for (var key = 0; key < count; key++)
            sum += weights[key] *= Math.Clamp(1 + (span - (count - 1 - key)) / ramp, 0, 1);
        return sum;
    }

    private void AddValues(float* weights, int first, int end, float* values, float* mean)
    {
        for (var s = first; s < end; s = RunEnd(s, end))
            AttentionMath.AddValues(weights + s - first, values + (long)(s % cache.Slots) * width, RunEnd(s, end) - s, mean, width);
    }
}
