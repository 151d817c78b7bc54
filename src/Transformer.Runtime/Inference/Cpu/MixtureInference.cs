using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · E experts · K active experts of a token

/// <summary>
/// E MLPs, of which each token takes the K most probable ones by a router. An expert computes only its own tokens, all of them at once.
/// </summary>
internal sealed unsafe class MixtureInference : MlpInference
{
    private readonly int active;
    private readonly Activations y, logits, weights, gathered, result;
    private readonly MatrixProducts router;
    private readonly MlpInference[] experts;

    /// <inheritdoc cref="MlpInference.Of"/>
    public MixtureInference(InferencePlan plan, MixtureMlpConfig config, string name, Activations y)
    {
        (active, this.y) = (config.Active, y);
        logits = plan.Workspace.Buffer("router", config.Experts);
        (gathered, result) = (plan.Workspace.Buffer("expert's tokens", plan.Width), plan.Workspace.Buffer("expert's results", plan.Width));
        router = plan.Products(plan.ExactMap(name + "gate", logits));
        experts = [.. Enumerable.Range(0, config.Experts).Select(e => Of(plan, config.Expert, $"{name}experts.{e}.", result))];
        weights = plan.Workspace.Buffer("router's weights", config.Experts);       // [N, E], zero where the token does not take the expert
    }

    /// <inheritdoc/>
    public override void Run(Activations x, int tokens)
    {
        router.Run(x, tokens);                                                     // [N, E]
        for (var token = 0; token < tokens; token++) Choose(logits.Row(token), weights.Row(token));
        new Span<float>(y.Values, tokens * y.Width).Clear();
        for (var e = 0; e < experts.Length; e++)
        {
            var taken = 0;
            for (var token = 0; token < tokens; token++)
                if (Weight(token, e) != 0) VectorKernels.Copy(x.Row(token), gathered.Row(taken++), x.Width);
            if (taken == 0) continue;
            experts[e].Run(gathered, taken);                                       // [taken, C]
            taken = 0;
            for (var token = 0; token < tokens; token++)
                if (Weight(token, e) != 0) VectorKernels.AddScaled(Weight(token, e), result.Row(taken++), y.Row(token), y.Width);
        }
    }

    private float Weight(int token, int expert) => weights.Row(token)[expert];

    // The K greatest probabilities, normalised to a sum of one; a single one is left as it is.
    private void Choose(float* logits, float* weights)
    {
        var (greatest, sum, chosenSum) = (float.NegativeInfinity, 0f, 0f);
        for (var e = 0; e < experts.Length; e++) greatest = Math.Max(greatest, logits[e]);
        for (var e = 0; e < experts.Length; e++) sum += logits[e] = MathF.Exp(logits[e] - greatest);
        new Span<float>(weights, experts.Length).Clear();
        for (var k = 0; k < active; k++)
        {
            var best = -1;
            for (var e = 0; e < experts.Length; e++)
                if (weights[e] == 0 && (best < 0 || logits[e] > logits[best])) best = e;
            chosenSum += weights[best] = logits[best] == 0 ? float.Epsilon : logits[best];
        }
        for (var e = 0; e < experts.Length; e++) weights[e] /= active > 1 ? chosenSum : sum;
    }
}
