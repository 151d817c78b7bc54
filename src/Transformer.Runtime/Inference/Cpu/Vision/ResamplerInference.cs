using Transformer.Configuration;

namespace Transformer.Inference.Cpu.Vision;

// N patches · M latents · C' width of the encoder · C width

/// <summary>
/// M learned vectors read the patches of a picture (Flamingo, Alayrac et al. 2022, arXiv:2204.14198, section 3.1): in each layer
/// z + CrossAttention(norm(z), [norm(x); norm(z)]), then z + MLP(norm(z)); at the end a norm and a map to the model's width.
/// </summary>
internal sealed unsafe class ResamplerInference : ProjectorInference
{
    private readonly int count;
    private readonly float* latents;
    private readonly Activations z;
    private readonly Reading[] layers;
    private readonly NormInference norm;
    private readonly MatrixProducts product;
    private readonly KeyValueState state;

    /// <inheritdoc cref="ProjectorInference.Of"/>
    public ResamplerInference(InferencePlan plan, PerceiverResamplerConfig config, int patches, Activations y, string path)
    {
        (count, z) = (config.Latents, plan.Workspace.Buffer("latents", plan.Width));
        latents = plan.Weights.Vector($"{path}.latents.weight");
        layers = [.. Enumerable.Range(0, config.Layers).Select(layer => new Reading(plan, config, patches, $"{path}.layers.{layer}"))];
        norm = new NormInference(plan.Model.Norm, plan.Weights, $"{path}.norm");
        product = plan.Products(plan.Map($"{path}.proj", y));
        state = layers[0].NewState();
    }

    /// <inheritdoc/>
    public override void Run(Activations x)
    {
        VectorKernels.Copy(latents, z.Values, count * z.Width);
        foreach (var layer in layers) layer.Run(z, x, state);                      // [M, C']
        norm.Apply(z, z, count);
        product.Run(z, count);                                                     // [M, C]
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        state.Dispose();
        base.Dispose();
    }

    // One layer.
    private sealed class Reading
    {
        private readonly int patches, count;
        private readonly NormInference normMedia, normLatents, normMlp;
        private readonly Activations source, normed, read, computed;
        private readonly SourceAttention attention;
        private readonly MlpInference mlp;
        private readonly TokenBatch batch;

        public Reading(InferencePlan plan, PerceiverResamplerConfig config, int patches, string path)
        {
            var workspace = plan.Workspace;
            (this.patches, count, batch) = (patches, config.Latents, new TokenBatch(config.Latents));
            batch.Add(row: 0, start: 0, count, length: count);
            (normMedia, normLatents, normMlp) = (Norm("norm_media"), Norm("norm_latents"), Norm("norm_mlp"));
            (source, normed) = (workspace.Buffer("source", plan.Width), workspace.Buffer("normed latents", plan.Width));
            (read, computed) = (workspace.Buffer("read", plan.Width), workspace.Buffer("computed", plan.Width));
            var heads = new SoftmaxAttentionConfig { Heads = config.Heads, HeadWidth = config.HeadWidth };
            attention = new SourceAttention(plan, workspace, heads, patches + count, $"{path}.cross_attn.", read);
            mlp = MlpInference.Of(plan, config.Mlp, $"{path}.mlp.", computed);

            NormInference Norm(string name) => new(plan.Model.Norm, plan.Weights, $"{path}.{name}");
        }

        public KeyValueState NewState() => attention.NewState(rows: 1);

        public void Run(Activations z, Activations x, KeyValueState state)
        {
            normLatents.Apply(z, normed, count);
            normMedia.Apply(x, source, patches);
            VectorKernels.Copy(normed.Values, source.Row(patches), count * source.Width);
            attention.Keep(source, row: 0, state);
            attention.Query(normed, count);
            attention.Kernel.Run(batch, state);
            attention.Output(count);                                               // [M, C']
            VectorKernels.AddScaled(1, read.Values, z.Values, count * z.Width);
            normMlp.Apply(z, normed, count);
            mlp.Run(normed, count);                                                // [M, C']
            VectorKernels.AddScaled(1, computed.Values, z.Values, count * z.Width);
        }
    }
}
