using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · n streams

/// <summary>How one sub-layer joins the residual stream: its input is made before it, its output is added after it.</summary>
internal abstract unsafe class ResidualInference
{
    /// <summary>x, what the sub-layer reads, from the stream.</summary>
    /// <param name="stream">[N, C], or [N, n C] of n streams.</param>
    /// <param name="x">[N, C]</param>
    /// <param name="tokens">N.</param>
    public virtual void Before(Activations stream, Activations x, int tokens) => Copy(stream, x, tokens);

    /// <summary>The stream after the sub-layer has given y; y may be overwritten.</summary>
    public abstract void After(Activations stream, Activations y, int tokens);

    /// <summary>The residual around one sub-layer of a block.</summary>
    /// <param name="plan">What all blocks share.</param>
    /// <param name="path">The module of the block.</param>
    /// <param name="sublayer">The sub-layer.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static ResidualInference Of(InferencePlan plan, string path, SublayerSpec sublayer)
    {
        var (model, weights, parameters) = (plan.Model, plan.Weights, $"{path}.{sublayer.Residual}.");
        if (sublayer.IsGated) return new TanhGatedInference(Norm(sublayer.NormBefore), weights.Vector(parameters + "gate")[0]);
        return model.Residual switch
        {
            PreNormResidualConfig => new SandwichInference(Norm(sublayer.NormBefore), null),
            SandwichResidualConfig => new SandwichInference(Norm(sublayer.NormBefore), Norm(sublayer.NormAfter)),
            PostNormResidualConfig => new PostNormInference(Norm(sublayer.NormAfter), 1),
            DeepNormResidualConfig =>
                new PostNormInference(Norm(sublayer.NormAfter), (float)DeepNormResidualConfig.Alpha(model.Layers.Blocks)),
            ReZeroResidualConfig => new ReZeroInference(weights.Vector(parameters + "alpha")[0]),
            HyperConnectionsResidualConfig hyper =>
                new HyperConnectionsInference(plan, Norm(sublayer.NormBefore), hyper.Streams, parameters),
            var other => throw Kind.Unknown("model.residual", other, "CPU kernel"),
        };

        NormInference Norm(string? name) => new(model.Norm, weights, $"{path}.{name}");
    }

    private static void Copy(Activations from, Activations to, int tokens) =>
        new ReadOnlySpan<float>(from.Values, tokens * from.Width).CopyTo(new Span<float>(to.Values, tokens * to.Width));
}

/// <summary>x + after(f(before(x))); without a second norm that is pre-norm.</summary>
internal sealed unsafe class SandwichInference(NormInference before, NormInference? after) : ResidualInference
{
    /// <inheritdoc/>
    public override void Before(Activations stream, Activations x, int tokens) => before.Apply(stream, x, tokens);

    /// <inheritdoc/>
    public override void After(Activations stream, Activations y, int tokens)
    {
        after?.Apply(y, y, tokens);
        VectorKernels.AddScaled(1, y.Values, stream.Values, tokens * stream.Width);
    }
}

/// <summary>x + tanh(g) f(norm(x))</summary>
internal sealed unsafe class TanhGatedInference(NormInference norm, float gate) : ResidualInference
{
    private readonly float share = MathF.Tanh(gate);

    /// <inheritdoc/>
    public override void Before(Activations stream, Activations x, int tokens) => norm.Apply(stream, x, tokens);

    /// <inheritdoc/>
    public override void After(Activations stream, Activations y, int tokens) =>
        VectorKernels.AddScaled(share, y.Values, stream.Values, tokens * stream.Width);
}

/// <summary>norm(a x + f(x)): post-norm, and with a above one DeepNorm.</summary>
internal sealed unsafe class PostNormInference(NormInference norm, float alpha) : ResidualInference
{
    /// <inheritdoc/>
    public override void After(Activations stream, Activations y, int tokens)
    {
        VectorKernels.ScaleAndAdd(alpha, stream.Values, y.Values, tokens * stream.Width);
        norm.Apply(stream, stream, tokens);
    }
}

/// <summary>x + a f(x)</summary>
internal sealed unsafe class ReZeroInference(float alpha) : ResidualInference
{
    /// <inheritdoc/>
    public override void After(Activations stream, Activations y, int tokens) =>
        VectorKernels.AddScaled(alpha, y.Values, stream.Values, tokens * stream.Width);
}

/// <summary>
/// n streams: the sub-layer reads a mixture of them, they mix among themselves, and each gets the output times a weight of its own.
/// </summary>
internal sealed unsafe class HyperConnectionsInference : ResidualInference
{
    private readonly NormInference norm;
    private readonly int streams;
    private readonly float* input, mixing, output;
    private readonly Activations mixed;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="norm">Before the sub-layer.</param>
    /// <param name="streams">n.</param>
    /// <param name="name">The parameters' name with a dot at its end.</param>
    public HyperConnectionsInference(InferencePlan plan, NormInference norm, int streams, string name)
    {
        (this.norm, this.streams, mixed) = (norm, streams, plan.Workspace.Buffer("mixed streams", streams * plan.Width));
        input = plan.Weights.Vector(name + "input");
        mixing = plan.Weights.Vector(name + "mixing");
        output = plan.Weights.Vector(name + "output");
    }

    /// <inheritdoc/>
    public override void Before(Activations stream, Activations x, int tokens)
    {
        for (var token = 0; token < tokens; token++)
        {
            Mix(input, stream.Row(token), x.Row(token), x.Width);
            norm.Apply(x.Row(token), x.Row(token), x.Width);
        }
    }

    /// <inheritdoc/>
    public override void After(Activations stream, Activations y, int tokens)
    {
        var width = y.Width;
        for (var token = 0; token < tokens; token++)
        {
            for (var to = 0; to < streams; to++)
            {
                Mix(mixing + to * streams, stream.Row(token), mixed.Row(token) + to * width, width);
                VectorKernels.AddScaled(output[to], y.Row(token), mixed.Row(token) + to * width, width);
            }
            VectorKernels.Copy(mixed.Row(token), stream.Row(token), stream.Width);
        }
    }

    private void Mix(float* shares, float* all, float* into, int width)
    {
        VectorKernels.Scale(shares[0], all, into, width);
        for (var from = 1; from < streams; from++) VectorKernels.AddScaled(shares[from], all + from * width, into, width);
    }
}
