using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · H heads · D head width · F feature width · E value width

/// <summary>
/// Linear attention and its relatives, token by token: all projections of a batch at once, then the recurrence of each row's heads.
/// </summary>
internal sealed unsafe class LinearInference : MixerInference
{
    private readonly LinearAttentionConfig config;
    private readonly int headWidth, featureWidth, valueWidth;
    private readonly MatrixProducts projections, output;
    private readonly MatrixProducts? gates, decays, decayInputs;
    private readonly Activations? decayRank, outputGate;
    private readonly Activations o;
    private readonly LinearKernel work;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">The rule, heads and options.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public LinearInference(InferencePlan plan, LinearAttentionConfig config, string name, Activations y)
    {
        this.config = config;
        (headWidth, featureWidth) = (config.HeadWidthAt(plan.Width), config.FeatureWidthAt(plan.Width));
        valueWidth = config.ValueWidthAt(plan.Width);
        var (keys, values) = (config.Heads * headWidth, config.Heads * valueWidth);
        var buffers = new LinearBuffers(
            plan.Workspace.Buffer("queries", keys), plan.Workspace.Buffer("keys", keys), plan.Workspace.Buffer("values", values),
            plan.Workspace.Buffer("betas", config.Heads), plan.Workspace.Buffer("steps", config.Heads),
            plan.Workspace.Buffer("decays", keys));
        o = plan.Workspace.Buffer("mixed values", values);

        List<LinearMap> maps =
        [
            plan.Map(name + "q_proj", buffers.Queries), plan.Map(name + "k_proj", buffers.Keys), plan.Map(name + "v_proj", buffers.Values),
        ];
        if (config.IsOutputGated) maps.Add(plan.Map(name + "g_proj", outputGate = plan.Workspace.Buffer("output gate", values)));
        projections = plan.Products([.. maps]);

        List<LinearMap> small = [];
        if (config.Rule.IsDelta) small.Add(plan.ExactMap(name + "b_proj", buffers.Betas));
        if (config.Rule.Decay == LinearDecay.Step) small.Add(plan.ExactMap(name + "a_proj", buffers.Steps));
        if (small.Count > 0) gates = plan.Products([.. small]);
        if (config.Rule.Decay == LinearDecay.Component)
        {
            decayRank = plan.Workspace.Buffer("decay rank", LinearAttentionConfig.GateRank);
            decayInputs = plan.Products(plan.ExactMap(name + "gk_proj.0", decayRank));
            decays = plan.Products(plan.ExactMap(name + "gk_proj.1", buffers.Decays));
        }
        work = new LinearKernel(plan, config, name, buffers, o);
        output = plan.Products(plan.Map(name + "o_proj", y));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length)
    {
        var (seen, keys, values) = (config.Convolution, config.Heads * headWidth, config.Heads * valueWidth);
        ConvolutionTail[] tails = seen == 0 ? [] : [new(rows, seen, keys), new(rows, seen, keys), new(rows, seen, values)];
        return new LinearAttentionState(rows, config.Heads, featureWidth, valueWidth, tails);
    }

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        projections.Run(x, batch.Tokens);                                           // 2 x [N, H D], [N, H E], and the gate
        gates?.Run(x, batch.Tokens);                                                // [N, H] each
        decayInputs?.Run(x, batch.Tokens);
        decays?.Run(decayRank!, batch.Tokens);                                      // [N, H D]
        work.Run(batch, (LinearAttentionState)state);                                     // [N, H E]
        if (outputGate is not null) Activation.Apply<Silu>(outputGate.Values, o.Values, o.Values, batch.Tokens * o.Width);
        output.Run(o, batch.Tokens);                                                // [N, C]
    }
}

/// <summary>
/// What the projections of linear attention leave: of each token queries and keys [H D], values [H E], betas and steps [H], decays [H D].
/// </summary>
internal sealed record LinearBuffers(
    Activations Queries, Activations Keys, Activations Values, Activations Betas, Activations Steps, Activations Decays);
