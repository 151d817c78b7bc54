using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · H heads · R ramp

/// <summary>
/// How far back each head of each token sees: z tokens in full, fading out over R more. There are none for attention without a window.
/// </summary>
internal sealed unsafe class AttentionSpans
{
    private readonly WindowConfig window;
    private readonly int heads;
    private readonly float* fractions;
    private readonly MatrixProducts? product;
    private readonly Activations? logits;
    private TokenBatch batch = null!;

    private AttentionSpans(SoftmaxAttentionConfig config, InferencePlan plan, string name)
    {
        (window, heads) = (config.Window, config.Heads);
        if (window is AdaptiveWindowConfig) fractions = plan.Weights.Vector(name + "window.span");
        if (window is not DynamicWindowConfig) return;
        logits = plan.Workspace.Buffer("spans", heads);
        product = plan.Products(plan.ExactMap(name + "window", logits));
    }

    /// <summary>The spans of a block; null where queries see all earlier tokens.</summary>
    /// <exception cref="InputException">No kernel is known for the kind of window.</exception>
    public static AttentionSpans? Of(SoftmaxAttentionConfig config, InferencePlan plan, string name) => config.Window switch
    {
        FullWindowConfig => null,
        SlidingWindowConfig or LengthScaledWindowConfig or AdaptiveWindowConfig or DynamicWindowConfig => new(config, plan, name),
        var other => throw Kind.Unknown("model.attention.window", other, "CPU kernel"),
    };

    /// <summary>R; 0 for a hard edge.</summary>
    public int Ramp => window is LearnedWindowConfig learned ? learned.Ramp : 0;

    /// <summary>Computes the spans that depend on the tokens themselves.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="x">[N, C]</param>
    public void Prepare(TokenBatch batch, Activations x)
    {
        this.batch = batch;
        product?.Run(x, batch.Tokens);    // [N, H]
    }

    /// <summary>z of a token's head.</summary>
    public float Of(int token, int head) => window switch
    {
        AdaptiveWindowConfig adaptive => adaptive.Maximum * Math.Clamp(fractions[head], 0, 1),
        DynamicWindowConfig dynamic => dynamic.Maximum * VectorKernels.Sigmoid(logits!.Row(token)[head]),
        SlidingWindowConfig sliding => sliding.Size - 1,
        _ => window.KeysAt(batch.Position(token)) - 1,
    };
}
