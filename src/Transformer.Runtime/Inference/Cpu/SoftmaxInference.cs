using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · H heads · G key/value heads · D head width

/// <summary>
/// Causal softmax attention over the cached keys and values of each token's row, with all of its options; in an encoder of pictures each
/// token of a context sees all of them.
/// </summary>
internal sealed unsafe class SoftmaxInference : MixerInference
{
    private readonly SoftmaxAttentionConfig config;
    private readonly int heads, keyValueHeads, headWidth, width;
    private readonly Workspace workspace;
    private readonly RotaryAngles? rotation;
    private readonly MatrixProducts projections, output;
    private readonly Activations q, k, v, z;
    private readonly float* queryNorm, keyNorm, valueMix;
    private readonly Activations? firstValues;
    private readonly AttentionSpans? spans;
    private readonly PerTokenKernel keeping;
    private readonly AttentionKernel attention;
    private TokenBatch batch = null!;
    private KeyValueState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and options.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public SoftmaxInference(InferencePlan plan, SoftmaxAttentionConfig config, string name, Activations y)
    {
        (this.config, width, workspace) = (config, plan.Width, plan.Workspace);
        (heads, keyValueHeads, headWidth) = (config.Heads, config.KvHeads ?? config.Heads, config.HeadWidthAt(width));
        (q, z) = (workspace.Buffer("queries", heads * headWidth), workspace.Buffer("mixed values", heads * headWidth));
        (k, v) = (workspace.Buffer("keys", keyValueHeads * headWidth), workspace.Buffer("values", keyValueHeads * headWidth));
        projections = plan.Products(plan.Map(name + "q_proj", q), plan.Map(name + "k_proj", k), plan.Map(name + "v_proj", v));
        output = plan.Products(plan.Map(name + "o_proj", y));
        queryNorm = plan.Weights.VectorIfAny(name + "q_norm.weight");
        keyNorm = plan.Weights.VectorIfAny(name + "k_norm.weight");
        if (config.ValueResidual) firstValues = workspace.Buffer("first values", v.Width);
        valueMix = plan.Weights.VectorIfAny(name + "value_mix");
        rotation = plan.RotaryAngles;
        spans = AttentionSpans.Of(config, plan, name);
        keeping = new PerTokenKernel(plan.Team, Keep);
        attention = new AttentionKernel(
            plan, config, keyValueHeads, plan.Model.ScoreScale(config), q, z, plan.Bias, spans, config.LogitSoftCap,
            plan.IsCausal ? null : plan.Model.ContextLength, plan.IsCausal);
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length)
    {
        var reach = config.Window.KeysAt(length - 1) + workspace.Tokens - 1;
        var size = (int)Math.Min(length, reach);
        return new KeyValueState(rows, keyValueHeads, size, headWidth, isWhole: reach >= length, rotation is { FollowsLength: true });
    }

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        projections.Run(x, batch.Tokens);                                           // [N, H D], 2 x [N, G D]
        if (config.ValueResidual) MixWithFirst(batch.Tokens);
        (this.batch, cache) = (batch, (KeyValueState)state);
        keeping.Run(batch.Tokens);
        if (cache.KeepsUnrotated) RotateCached(batch, cache);
        spans?.Prepare(batch, x);
        attention.Run(batch, cache);                                                // [N, H D]
        output.Run(z, batch.Tokens);                                                // [N, C]
    }

    // l1 v_1 + l2 v (Zhou et al. 2024); the first block's are v_1 itself.
    private void MixWithFirst(int tokens)
    {
        var count = tokens * v.Width;
        if (valueMix is null)
        {
            VectorKernels.Copy(v.Values, firstValues!.Values, count);
            return;
        }
        VectorKernels.Scale(valueMix[1], v.Values, v.Values, count);
        VectorKernels.AddScaled(valueMix[0], firstValues!.Values, v.Values, count);
    }

    // Normalises and rotates queries and keys, and stores keys and values in the row's cache.
    private void Keep(int token)
    {
        Normalise(q.Row(token), queryNorm, heads);
        Normalise(k.Row(token), keyNorm, keyValueHeads);
        rotation?.Rotate(token, q.Row(token), heads);
        if (!cache.KeepsUnrotated) rotation?.Rotate(token, k.Row(token), keyValueHeads);
        for (var head = 0; head < keyValueHeads; head++)
            cache.Keep(batch.Row(token), head, batch.Position(token), k.Row(token) + head * headWidth, v.Row(token) + head * headWidth);
    }

    private void Normalise(float* x, float* weight, int count)
    {
        if (weight is null) return;
        const float Epsilon = (float)SoftmaxAttentionConfig.QueryKeyNormEpsilon;
        for (var head = 0; head < count; head++)
            VectorKernels.RmsNorm(x + head * headWidth, weight, Epsilon, x + head * headWidth, headWidth);
    }

    private void RotateCached(TokenBatch batch, KeyValueState cache)
    {
        for (var span = 0; span < batch.Spans; span++)
        {
            var last = batch.First(span) + batch.Count(span) - 1;
            cache.Rotate(rotation!, batch.RowOf(span), batch.Position(batch.First(span)), batch.Position(last) + 1, batch.Length(last));
        }
    }
}
