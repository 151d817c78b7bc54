using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Norms;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width · V vocabulary · L layers

/// <summary>
/// Everything below the head: token embedding, position embedding or bias where there is one, L blocks and, where the residual needs one, the last norm.
/// </summary>
public sealed class Decoder : nn.Module<Tensor, ForwardContext, TorchSequenceState?, Tensor>
{
    private readonly Embedding embed_tokens;
    private readonly nn.Module<Tensor, Tensor>? embed_positions;
    private readonly ScoreBias? position_bias;
    private readonly ModuleList<Block> layers;
    private readonly nn.Module<Tensor, Tensor>? norm;
    private readonly double dropout;

    /// <param name="config">The model; its vocabulary size is known.</param>
    public Decoder(ModelConfig config) : base(nameof(Decoder))
    {
        embed_tokens = nn.Embedding(config.VocabularySize ?? throw new ArgumentException("the vocabulary size is unknown", nameof(config)), config.Width);
        embed_positions = config.Position switch
        {
            LearnedPositionConfig => nn.Embedding(config.ContextLength, config.Width),
            SinusoidalPositionConfig => new SinusoidalPosition(config.ContextLength, config.Width),
            _ => null,
        };
        position_bias = ScoreBias.FromConfig(config);
        layers = new ModuleList<Block>([.. Enumerable.Range(0, config.Layers).Select(layer => new Block(config, layer))]);
        if (config.Residual.LastNorm) norm = Norm.FromConfig(config.Norm, config.Width);
        dropout = config.Dropout;
        RegisterComponents();
    }

    /// <summary>The blocks from the embedding to the head.</summary>
    public IEnumerable<Block> Layers => layers;

    /// <summary>What positions add to the scores in every block, or null.</summary>
    public ScoreBias? PositionBias => position_bias;

    /// <summary>What stands around each block, or null.</summary>
    internal BlockHooks? Hooks { get; set; }

    /// <summary>[V, C]; also the head where that is tied.</summary>
    public Parameter TokenEmbedding => embed_tokens.weight!;

    /// <param name="ids">[B, T], integers below V; or embeddings in their place, [B, T, C].</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <param name="state">What generation carries from pass to pass, or null.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor ids, ForwardContext context, TorchSequenceState? state)
    {
        var x = ids.is_floating_point() ? ids : embed_tokens.call(ids);                       // [B, T, C]
        if (embed_positions is not null) x = x + embed_positions.call(context.Positions ?? arange(ids.shape[1], device: ids.device));
        if (dropout > 0 && training) x = nn.functional.dropout(x, dropout);
        if (layers.Count > 0) x = Blocks(x, context, state);
        return norm?.call(x) ?? x;
    }

    private Tensor Blocks(Tensor x, ForwardContext context, TorchSequenceState? state)
    {
        var stream = layers[0].Open(x);
        for (var i = 0; i < layers.Count; i++)
        {
            if (Hooks is not null) stream = Hooks.BeforeBlock(i, stream);
            stream = context.Recomputation is null ? Compute(i, stream, context, state) : CheckpointedBlock.Apply(layers[i], stream, context, ParametersOf(i));
        }
        return layers[^1].Close(stream);
    }

    private Tensor Compute(int layer, Tensor stream, ForwardContext context, TorchSequenceState? state)
    {
        using var parameters = ParametersOf(layer)();
        return layers[layer].call(stream, context, state?.Layers[layer]);
    }

    private Func<IDisposable?> ParametersOf(int layer) => () => Hooks?.Parameters(layer);
}
