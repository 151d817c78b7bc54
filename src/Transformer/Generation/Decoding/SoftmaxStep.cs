using Transformer.Configuration;

namespace Transformer.Generation.Decoding;

// N tokens · C width · H heads · G key/value heads · D head width

/// <summary>Causal softmax attention over the cached keys and values of each token's row, with all that its configuration knows.</summary>
internal sealed unsafe class SoftmaxStep : MixerStep
{
    private const float NormEpsilon = 1e-5f;

    private readonly SoftmaxAttentionConfig config;
    private readonly int heads, keyValueHeads, headWidth, width;
    private readonly Workspace workspace;
    private readonly Rotation? rotation;
    private readonly MatrixProducts projections, output;
    private readonly Activations q, k, v, z;
    private readonly float* queryNorm, keyNorm, valueMix;
    private readonly Activations? firstValues;
    private readonly AttentionSpans? spans;
    private readonly EachToken keeping;
    private readonly AttentionWork attention;
    private Pass pass = null!;
    private KeyValueState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and options.</param>
    /// <param name="layer">Which block.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public SoftmaxStep(DecoderPlan plan, SoftmaxAttentionConfig config, int layer, Activations y)
    {
        (this.config, width, workspace) = (config, plan.Width, plan.Workspace);
        (heads, keyValueHeads, headWidth) = (config.Heads, config.KvHeads ?? config.Heads, config.HeadWidthAt(width));
        var name = DecoderPlan.Block(layer) + "self_attn.";
        (q, z) = (workspace.Buffer("queries", heads * headWidth), workspace.Buffer("mixed values", heads * headWidth));
        (k, v) = (workspace.Buffer("keys", keyValueHeads * headWidth), workspace.Buffer("values", keyValueHeads * headWidth));
        projections = plan.Products(plan.Map(name + "q_proj", q), plan.Map(name + "k_proj", k), plan.Map(name + "v_proj", v));
        output = plan.Products(plan.Map(name + "o_proj", y));
        queryNorm = plan.Weights.VectorIfAny(name + "q_norm.weight");
        keyNorm = plan.Weights.VectorIfAny(name + "k_norm.weight");
        if (config.ValueResidual) firstValues = workspace.Buffer("first values", v.Width);
        valueMix = plan.Weights.VectorIfAny(name + "value_mix");
        rotation = plan.Rotation;
        spans = AttentionSpans.Of(config, plan, name);
        keeping = new EachToken(plan.Team, Keep);
        attention = new AttentionWork(plan, config, q, z, spans);
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length)
    {
        var reach = config.Window.KeysAt(length - 1) + workspace.Tokens - 1;
        return new KeyValueState(rows, keyValueHeads, (int)Math.Min(length, reach), headWidth, isWhole: reach >= length, rotation is { FollowsLength: true });
    }

    /// <inheritdoc/>
    public override void Run(Pass pass, Activations x, MixerState state)
    {
        projections.Run(x, pass.Tokens);                                           // [N, H D], 2 x [N, G D]
        if (config.ValueResidual) MixWithFirst(pass.Tokens);
        (this.pass, cache) = (pass, (KeyValueState)state);
        keeping.Run(pass.Tokens);
        if (rotation is { FollowsLength: true }) TurnAll(pass, cache);
        spans?.Prepare(pass, x);
        attention.Run(pass, cache);                                                // [N, H D]
        output.Run(z, pass.Tokens);                                                // [N, C]
    }

    // l1 v_1 + l2 v (Zhou et al. 2024); the first block's are v_1 itself.
    private void MixWithFirst(int tokens)
    {
        var count = tokens * v.Width;
        if (valueMix is null)
        {
            VectorKernels.Scale(1, v.Values, firstValues!.Values, count);
            return;
        }
        VectorKernels.Scale(valueMix[1], v.Values, v.Values, count);
        VectorKernels.AddScaled(valueMix[0], firstValues!.Values, v.Values, count);
    }

    // Queries and keys become what scores are made of, and keys and values go to the others of their row.
    private void Keep(int token)
    {
        Normalise(q.Row(token), queryNorm, heads);
        Normalise(k.Row(token), keyNorm, keyValueHeads);
        rotation?.Turn(token, q.Row(token), heads);
        if (rotation is { FollowsLength: false }) rotation.Turn(token, k.Row(token), keyValueHeads);
        for (var head = 0; head < keyValueHeads; head++)
            cache.Keep(pass.Row(token), head, pass.Position(token), k.Row(token) + head * headWidth, v.Row(token) + head * headWidth);
    }

    private void Normalise(float* x, float* weight, int count)
    {
        if (weight is null) return;
        for (var head = 0; head < count; head++) VectorKernels.RmsNorm(x + head * headWidth, weight, NormEpsilon, x + head * headWidth, headWidth);
    }

    private void TurnAll(Pass pass, KeyValueState cache)
    {
        for (var stretch = 0; stretch < pass.Stretches; stretch++)
        {
            var last = pass.First(stretch) + pass.Count(stretch) - 1;
            cache.Turn(rotation!, pass.RowOf(stretch), pass.Position(last) + 1, pass.Length(last));
        }
    }
}
