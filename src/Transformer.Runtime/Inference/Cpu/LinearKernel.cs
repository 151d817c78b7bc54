using System.Runtime.CompilerServices;
using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · H heads · D head width · F feature width · E value width

/// <summary>
/// The recurrence of linear attention, S = alpha S + k u^T and o = S^T q, one head of a row at a time, token by token, with the
/// convolutions and features before it and the norm behind it.
/// </summary>
internal sealed unsafe class LinearKernel : IParallelKernel
{
    private readonly ThreadTeam team;
    private readonly LinearAttentionConfig config;
    private readonly LinearRule rule;
    private readonly LinearBuffers buffers;
    private readonly Activations o;
    private readonly RotaryAngles? rotation;
    private readonly int heads, headWidth, features, values;
    private readonly float* queryFilter, keyFilter, valueFilter, rates, stepBias, norm;
    private readonly NativeArray<float>[] scratch;
    private TokenBatch batch = null!;
    private LinearAttentionState state = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">The rule, heads and options.</param>
    /// <param name="name">The mixer's name with a dot at its end.</param>
    /// <param name="buffers">What the projections leave.</param>
    /// <param name="o">[N, H E]</param>
    public LinearKernel(InferencePlan plan, LinearAttentionConfig config, string name, LinearBuffers buffers, Activations o)
    {
        if (!Supports(config.Rule)) throw new InputException($"the CPU kernels do not know rule {config.Rule} of linear attention");
        (team, this.config, rule, this.buffers, this.o) = (plan.Team, config, config.Rule, buffers, o);
        rotation = config.ObstacleTo(plan.Model.Position) is null ? plan.RotaryAngles : null;
        (heads, headWidth, features, values) = (
            config.Heads, config.HeadWidthAt(plan.Width), config.FeatureWidthAt(plan.Width), config.ValueWidthAt(plan.Width));
        queryFilter = plan.Weights.VectorIfAny(name + "q_conv1d.weight");
        keyFilter = plan.Weights.VectorIfAny(name + "k_conv1d.weight");
        valueFilter = plan.Weights.VectorIfAny(name + "v_conv1d.weight");
        rates = plan.Weights.VectorIfAny(name + "A_log");
        stepBias = plan.Weights.VectorIfAny(name + "dt_bias");
        norm = plan.Weights.VectorIfAny(name + "o_norm.weight");
        scratch = [.. Enumerable.Range(0, team.Threads).Select(thread => plan.Workspace.Scratch(thread, 2 * features + 2 * values))];
    }

    /// <summary>Whether the features and the decay of a rule are implemented.</summary>
    public static bool Supports(LinearRule rule) => FeatureVector.Supports(rule.Features)
        && rule.Decay is LinearDecay.None or LinearDecay.Constant or LinearDecay.Component or LinearDecay.Step;

    /// <summary>Computes o for all tokens of a batch, and the state after them.</summary>
    public void Run(TokenBatch batch, LinearAttentionState state)
    {
        (this.batch, this.state) = (batch, state);
        team.Run(this, batch.Spans * heads);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var (span, head) = (piece / heads, piece % heads);
        var (row, first, count) = (batch.RowOf(span), batch.First(span), batch.Count(span));
        if (queryFilter is not null)
        {
            state.Tail(0).Convolve(row, buffers.Queries.Row(first), count, queryFilter, head * headWidth, headWidth);
            state.Tail(1).Convolve(row, buffers.Keys.Row(first), count, keyFilter, head * headWidth, headWidth);
            state.Tail(2).Convolve(row, buffers.Values.Row(first), count, valueFilter, head * values, values);
        }
        for (var token = first; token < first + count; token++) Token(token, row, head, scratch[thread].Pointer);
    }

    private void Token(int token, int row, int head, float* scratch)
    {
        var q = scratch;
        var k = q + features;
        var u = k + features;
        var query = buffers.Queries.Row(token) + head * headWidth;
        var key = buffers.Keys.Row(token) + head * headWidth;
        var value = buffers.Values.Row(token) + head * values;
        if (rule.HasConvolution)
        {
            Activation.Apply<Silu>(query, null, query, headWidth);
            Activation.Apply<Silu>(key, null, key, headWidth);
            Activation.Apply<Silu>(value, null, value, values);
        }
        FeatureVector.Of(config, query, headWidth, q);
        FeatureVector.Of(config, key, headWidth, k);

        var step = rule.Decay == LinearDecay.Step ? VectorKernels.Softplus(buffers.Steps.Row(token)[head] + stepBias[head]) : 1;
        if (rule.ScalesKeys) VectorKernels.Scale(step, k, k, features);
        if (!rule.IsNormalised) VectorKernels.Scale(1 / MathF.Sqrt(headWidth), q, q, features);
        var normaliser = rule.IsNormalised ? Normaliser(q, k, state.KeySum(row, head)) : 1;
        if (rotation is not null)
        {
            rotation.Rotate(token, q, 1);
            rotation.Rotate(token, k, 1);
        }

        var result = o.Row(token) + head * values;
        var matrix = state.Matrix(row, head);
        Decay(matrix, token, head, step);
        if (rule.IsDelta)
            value = Correction(matrix, k, value, config.GreatestBeta * VectorKernels.Sigmoid(buffers.Betas.Row(token)[head]), u);
        WriteAndRead(matrix, q, k, value, result);
        if (rule.IsNormalised) VectorKernels.Scale(1 / normaliser, result, result, values);
        else VectorKernels.RmsNorm(result, norm, (float)LinearAttentionConfig.NormEpsilon, result, values);
    }

    // alpha S, alpha being one number per head or one per component of the key.
    private void Decay(float* matrix, int token, int head, float step)
    {
        switch (rule.Decay)
        {
            case LinearDecay.None:
                break;
            case LinearDecay.Constant:
                VectorKernels.Scale(1 - MathF.Pow(2, RetentionRule.FirstExponent - head), matrix, matrix, features * values);
                break;
            case LinearDecay.Component:
                var decays = buffers.Decays.Row(token) + head * headWidth;
                const float Temperature = (float)LinearAttentionConfig.GateTemperature;
                for (var f = 0; f < features; f++)
                {
                    var kept = MathF.Exp(-VectorKernels.Softplus(-decays[f]) / Temperature);
                    VectorKernels.Scale(kept, matrix + f * values, matrix + f * values, values);
                }
                break;
            case LinearDecay.Step:
                VectorKernels.Scale(MathF.Exp(-MathF.Exp(rates[head]) * step), matrix, matrix, features * values);
                break;
            default:
                throw new InvalidOperationException($"rule {rule}: no such decay");
        }
    }

    // phi(q) . (the sum of phi(k) so far), before the rotation.
    private float Normaliser(float* q, float* k, float* keySum)
    {
        VectorKernels.AddScaled(1, k, keySum, features);
        return VectorMath.Dot(q, keySum, features) + (float)LinearAttentionConfig.NormaliserEpsilon;
    }

    // The delta rule: beta (v - S^T k).
    private float* Correction(float* matrix, float* k, float* value, float beta, float* u)
    {
        VectorKernels.Copy(value, u, values);
        for (var f = 0; f < features; f++) VectorKernels.AddScaled(-k[f], matrix + f * values, u, values);
        VectorKernels.Scale(beta, u, u, values);
        return u;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void WriteAndRead(float* matrix, float* q, float* k, float* u, float* result)
    {
        new Span<float>(result, values).Clear();
        for (var f = 0; f < features; f++, matrix += values)
        {
            VectorKernels.AddScaled(k[f], u, matrix, values);
            VectorKernels.AddScaled(q[f], matrix, result, values);
        }
    }
}
