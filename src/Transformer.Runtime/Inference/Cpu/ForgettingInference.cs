using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · H heads · G key/value heads · D head width

/// <summary>Forgetting attention: softmax attention over the cache, with what the gates have forgotten taken from the scores.</summary>
internal sealed unsafe class ForgettingInference : MixerInference
{
    private readonly ForgettingAttentionConfig config;
    private readonly int heads, keyValueHeads, headWidth;
    private readonly float epsilon;
    private readonly RotaryAngles? rotation;
    private readonly MatrixProducts projections, gates, output;
    private readonly Activations q, k, v, z, forget;
    private readonly Activations? keyShares, valueShares, earlier, outputGate;
    private readonly float* queryNorm, keyNorm, outputNorm;
    private readonly PerTokenKernel keeping, finishing;
    private readonly ForgettingBias bias = new();
    private readonly AttentionKernel attention;
    private TokenBatch batch = null!;
    private ForgettingState state = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and options.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public ForgettingInference(InferencePlan plan, ForgettingAttentionConfig config, string name, Activations y)
    {
        var (workspace, weights) = (plan.Workspace, plan.Weights);
        (this.config, heads, keyValueHeads, headWidth) = (config, config.Heads, config.KeyValueHeads, config.HeadWidthAt(plan.Width));
        (epsilon, rotation) = ((float)plan.Model.Norm.Epsilon, plan.RotaryAngles);
        (q, z) = (workspace.Buffer("queries", heads * headWidth), workspace.Buffer("mixed values", heads * headWidth));
        (k, v) = (workspace.Buffer("keys", keyValueHeads * headWidth), workspace.Buffer("values", keyValueHeads * headWidth));
        forget = workspace.Buffer("forget gates", heads);
        List<LinearMap> maps = [plan.Map(name + "q_proj", q), plan.Map(name + "k_proj", k), plan.Map(name + "v_proj", v)];
        if (config.OutputGate) maps.Add(plan.Map(name + "ogate_proj", outputGate = workspace.Buffer("output gate", q.Width)));
        projections = plan.Products([.. maps]);
        List<LinearMap> small = [plan.ExactMap(name + "fgate_proj", forget)];
        if (config.KeyValueShift)
        {
            earlier = workspace.Buffer("keys and values of the token before", 2 * k.Width);
            small.Add(plan.ExactMap(name + "k_shift_proj", keyShares = workspace.Buffer("key shares", keyValueHeads)));
            small.Add(plan.ExactMap(name + "v_shift_proj", valueShares = workspace.Buffer("value shares", keyValueHeads)));
        }
        gates = plan.Products([.. small]);
        queryNorm = weights.VectorIfAny(name + "q_norm.weight");
        keyNorm = weights.VectorIfAny(name + "k_norm.weight");
        outputNorm = weights.VectorIfAny(name + "o_norm.weight");
        (keeping, finishing) = (new PerTokenKernel(plan.Team, Keep), new PerTokenKernel(plan.Team, Finish));
        attention = new AttentionKernel(plan, config, keyValueHeads, plan.Model.ScoreScale(config), q, z, bias);
        output = plan.Products(plan.Map(name + "o_proj", y));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) =>
        new ForgettingState(rows, heads, keyValueHeads, length, headWidth, config.KeyValueShift);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        (this.batch, this.state, bias.State) = (batch, (ForgettingState)state, (ForgettingState)state);
        projections.Run(x, batch.Tokens);                                           // [N, H D], 2 x [N, G D], and the output's gate
        gates.Run(x, batch.Tokens);                                                 // [N, H], and 2 x [N, G] shares
        if (config.KeyValueShift)
            for (var span = 0; span < batch.Spans; span++) Shift(span);
        keeping.Run(batch.Tokens);
        attention.Run(batch, this.state.Cache);                                     // [N, H D]
        if (outputGate is not null) finishing.Run(batch.Tokens);
        output.Run(z, batch.Tokens);                                                // [N, C]
    }

    // Mixes the keys and values of a row's new tokens with those of the token before, from the last one back.
    private void Shift(int span)
    {
        var (first, end) = (batch.First(span), batch.First(span) + batch.Count(span));
        var last = state.Last(batch.RowOf(span));
        var before = earlier!.Row(0);
        VectorKernels.Copy(last, before, earlier.Width);
        VectorKernels.Copy(k.Row(end - 1), last, k.Width);
        VectorKernels.Copy(v.Row(end - 1), last + k.Width, v.Width);
        for (var token = end - 1; token >= first; token--)
        {
            Mix(k.Row(token), token == first ? before : k.Row(token - 1), keyShares!.Row(token));
            Mix(v.Row(token), token == first ? before + k.Width : v.Row(token - 1), valueShares!.Row(token));
        }
    }

    // x = a before + (1 - a) x
    private void Mix(float* x, float* before, float* shares)
    {
        for (var head = 0; head < keyValueHeads; head++)
        {
            var a = VectorKernels.Sigmoid(shares[head]);
            VectorKernels.Scale(1 - a, x + head * headWidth, x + head * headWidth, headWidth);
            VectorKernels.AddScaled(a, before + head * headWidth, x + head * headWidth, headWidth);
        }
    }

    // Normalises and rotates queries and keys, and stores keys, values and gates in the row's cache.
    private void Keep(int token)
    {
        const float Epsilon = (float)ForgettingAttentionConfig.QueryKeyNormEpsilon;
        var (row, position) = (batch.Row(token), batch.Position(token));
        Normalise(q.Row(token), queryNorm, heads, Epsilon);
        Normalise(k.Row(token), keyNorm, keyValueHeads, Epsilon);
        rotation?.Rotate(token, q.Row(token), heads);
        rotation?.Rotate(token, k.Row(token), keyValueHeads);
        for (var head = 0; head < keyValueHeads; head++)
            state.Cache.Keep(row, head, position, k.Row(token) + head * headWidth, v.Row(token) + head * headWidth);
        for (var head = 0; head < heads; head++)
            state.Gates(row, head)[position] = -VectorKernels.Softplus(-forget.Row(token)[head]);    // log sigmoid
    }

    private void Finish(int token)
    {
        Normalise(z.Row(token), outputNorm, heads, epsilon);
        var gate = outputGate!.Row(token);
        for (var i = 0; i < z.Width; i++) z.Row(token)[i] *= VectorKernels.Sigmoid(gate[i]);
    }

    private void Normalise(float* x, float* weight, int count, float epsilon)
    {
        if (weight is null) return;
        for (var at = 0; at < count * headWidth; at += headWidth)
            VectorKernels.RmsNorm(x + at, weight + at, epsilon, x + at, headWidth);
    }
}
