using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N queries · C width

/// <summary>
/// Attention across an edge of an hourglass and a feed-forward layer, within the model's residual (Nawrot et al. 2021, arXiv:2110.13711,
/// section 2.4).
/// </summary>
/// <typeparam name="TAttention">How queries read.</typeparam>
internal sealed class ResamplingInference<TAttention> where TAttention : FunctionInference
{
    private readonly ResidualStreams streams;
    private readonly SublayerInference[] sublayers;

    /// <param name="plan">What all layers share.</param>
    /// <param name="path">The module of the pooling or the upsampling.</param>
    /// <param name="queries">[N, C]</param>
    /// <param name="make">Makes the attention, given its name with a dot at its end and where its result goes, [N, C].</param>
    public ResamplingInference(InferencePlan plan, string path, Activations queries, Func<string, Activations, TAttention> make)
    {
        var (block, names) = ($"{path}.{ResamplingParameters.Module}", plan.Model.SublayersFrom(SublayerSpec.CrossAttention, first: 0));
        streams = new ResidualStreams(plan, queries, "resampled streams", hasBlocks: true);
        Attention = make($"{block}.{names[0].Name}.", plan.Workspace.Buffer(names[0].Name, plan.Width));
        sublayers = [.. names.Select(sublayer => new SublayerInference(plan, block, sublayer, (name, y) =>
            sublayer.Name == SublayerSpec.CrossAttention ? Attention : MlpInference.Of(plan, plan.Model.Mlp, name, y)))];
    }

    /// <summary>How queries read.</summary>
    public TAttention Attention { get; }

    /// <summary>What becomes of the queries, in place.</summary>
    /// <param name="batch">Which queries these are.</param>
    /// <param name="state">The state of the attention.</param>
    public void Run(TokenBatch batch, MixerState state)
    {
        streams.Open(batch.Tokens);
        foreach (var sublayer in sublayers) sublayer.Run(batch, streams.Streams, state);
        streams.Close(batch.Tokens);
    }
}
