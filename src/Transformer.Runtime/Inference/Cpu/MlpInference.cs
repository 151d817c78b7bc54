using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>What a block computes at each position by itself.</summary>
internal abstract class MlpInference : FunctionInference
{
    /// <inheritdoc/>
    public sealed override MixerState? NewState(int rows, int length) => null;

    /// <inheritdoc/>
    public sealed override void Run(TokenBatch batch, Activations x, MixerState state) => Run(x, batch.Tokens);

    /// <summary>y = mlp(x), into the buffer that the layer was made with.</summary>
    /// <param name="x">[N, C]; kept, but its 8-bit form may be made.</param>
    /// <param name="tokens">N.</param>
    public abstract void Run(Activations x, int tokens);

    /// <summary>The feed-forward layer of a configuration.</summary>
    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">[N, C], where its result goes.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static MlpInference Of(InferencePlan plan, MlpConfig config, string name, Activations y) => config switch
    {
        MixtureMlpConfig mixture => new MixtureInference(plan, mixture, name, y),
        SwiGluMlpConfig => new GatedMlpInference(plan, config, name, y),
        GeluMlpConfig => new PlainMlpInference<Gelu>(plan, config, name, y),
        GeluTanhMlpConfig => new PlainMlpInference<GeluTanh>(plan, config, name, y),
        ReluMlpConfig => new PlainMlpInference<Relu>(plan, config, name, y),
        ReluSquaredMlpConfig => new PlainMlpInference<ReluSquared>(plan, config, name, y),
        _ => throw Kind.Unknown("model.mlp", config, "CPU kernel"),
    };
}
