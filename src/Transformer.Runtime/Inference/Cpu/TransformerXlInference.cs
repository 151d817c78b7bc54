using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · T tokens of a segment · M tokens of memory · C width · H heads · D head width

/// <summary>
/// Transformer-XL's attention over the cached keys and values of a row's segment and of the M tokens before it. Keys are the same whatever
/// their distance, so that they are cached, and what the distance adds to a score is computed for each query.
/// </summary>
internal sealed unsafe class TransformerXlInference : MixerInference
{
    private readonly TransformerXlAttentionConfig config;
    private readonly int heads, headWidth;
    private readonly MatrixProducts projections, output;
    private readonly Activations q, k, v, z;
    private readonly float* contentBias;
    private readonly PerTokenKernel keeping;
    private readonly AttentionKernel attention;
    private TokenBatch batch = null!;
    private KeyValueState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and memory.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public TransformerXlInference(InferencePlan plan, TransformerXlAttentionConfig config, string name, Activations y)
    {
        (this.config, heads, headWidth) = (config, config.Heads, config.HeadWidthAt(plan.Width));
        var inner = heads * headWidth;
        (q, z) = (plan.Workspace.Buffer("queries", inner), plan.Workspace.Buffer("mixed values", inner));
        (k, v) = (plan.Workspace.Buffer("keys", inner), plan.Workspace.Buffer("values", inner));
        projections = plan.Products(plan.Map(name + "q_proj", q), plan.Map(name + "k_proj", k), plan.Map(name + "v_proj", v));
        output = plan.Products(plan.Map(name + "o_proj", y));
        contentBias = plan.Weights.Vector(name + "u_bias");
        keeping = new PerTokenKernel(plan.Team, Keep);
        attention = new AttentionKernel(
            plan, config, heads, plan.Model.ScoreScale(config), q, z, new TransformerXlBias(plan, config, name),
            keys: config.KeysAt(plan.Model.Places));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => new KeyValueState(
        rows, heads, config.MemoryLength + length, headWidth, isWhole: false, keepsUnrotated: false, config.MemoryLength);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        projections.Run(x, batch.Tokens);                                           // 3 x [N, H D]
        (this.batch, cache) = (batch, (KeyValueState)state);
        keeping.Run(batch.Tokens);
        attention.Run(batch, cache);                                                // [N, H D]
        output.Run(z, batch.Tokens);                                                // [N, C]
    }

    // Adds u to the queries, and stores keys and values in the row's cache.
    private void Keep(int token)
    {
        VectorKernels.AddScaled(1, contentBias, q.Row(token), heads * headWidth);
        for (var head = 0; head < heads; head++)
            cache.Keep(batch.Row(token), head, batch.Position(token), k.Row(token) + head * headWidth, v.Row(token) + head * headWidth);
    }
}
