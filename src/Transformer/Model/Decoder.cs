using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Memory;
using Transformer.Layers.Norms;
using Transformer.Layers.Positions;
using Transformer.Model.Vision;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width · V vocabulary

/// <summary>
/// Everything below the head: token embedding, position embedding or bias where there is one, the stack of blocks and, where the residual
/// needs one, the last norm. What enters the stack need not be the embedding of a token.
/// </summary>
public sealed class Decoder : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly Embedding embed_tokens;
    private readonly nn.Module<Tensor, Tensor>? embed_positions;
    private readonly ScoreBias? position_bias;
    private readonly MemoryTokens? memory;
    private readonly PictureEncoder? vision;
    private readonly Stack layers;
    private readonly nn.Module<Tensor, Tensor>? norm;
    private readonly double dropout;

    /// <param name="config">The model; its vocabulary size is known.</param>
    /// <exception cref="InputException">No layer is known for a kind of the configuration.</exception>
    public Decoder(ModelConfig config) : base(nameof(Decoder))
    {
        var vocabulary = config.VocabularySize ?? throw new ArgumentException("the vocabulary size is unknown", nameof(config));
        embed_tokens = nn.Embedding(vocabulary, config.Width);
        embed_positions = config.Position switch
        {
            LearnedPositionConfig => nn.Embedding(config.Places, config.Width),
            SinusoidalPositionConfig => new SinusoidalPosition(config.Places, config.Width),
            NoPositionConfig or RotaryPositionConfig or ScoreBiasPositionConfig => null,
            var other => throw Kind.Unknown("model.position", other, "layer"),
        };
        position_bias = ScoreBias.FromConfig(config);
        if (config.Memory is { } remembered) memory = new MemoryTokens(remembered.Tokens, config.Width);
        if (config.Vision is not null) vision = new PictureEncoder(config);
        layers = Stack.Of(config, config.Nodes());
        if (config.Residual.LastNorm) norm = Norm.FromConfig(config.Norm, config.Width);
        dropout = config.Dropout;
        RegisterComponents();
    }

    /// <summary>The blocks from the embedding to the head, those of hourglasses in their places.</summary>
    public IReadOnlyList<Block> Blocks => layers.Blocks;

    /// <inheritdoc cref="Stack.Stateful"/>
    internal IEnumerable<nn.Module> Stateful => layers.Stateful;

    /// <summary>What positions add to the scores in every block, or null.</summary>
    public ScoreBias? PositionBias => position_bias;

    /// <summary>The memory tokens with which a text begins: [m, C]; null in a model without.</summary>
    public Parameter? Memory => memory?.Weight;

    /// <summary>What reads pictures; null in a model of text alone.</summary>
    public PictureEncoder? Vision => vision;

    /// <summary>Hooks around each block, or null.</summary>
    internal BlockHooks? Hooks { set => layers.Hooks = value; }

    /// <summary>[V, C]; also the head where that is tied.</summary>
    public Parameter TokenEmbedding => embed_tokens.weight!;

    /// <summary>The embeddings of tokens, without positions.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <returns>[B, T, C]</returns>
    public Tensor Embed(Tensor ids) => embed_tokens.call(ids);

    /// <summary>The same with pictures: their own vectors stand in the text, or a mark where cross-attention reads them.</summary>
    /// <param name="ids">[B, T], integers below V, below 0 at the placeholders of pictures.</param>
    /// <param name="vectors">What the placeholders stand for, row by row: [I, N, C].</param>
    /// <returns>[B, T, C]</returns>
    public Tensor Embed(Tensor ids, Tensor vectors)
    {
        var words = Embed(ids.clamp_min(0));
        var isPicture = (ids < 0).unsqueeze(-1);                        // [B, T, 1]
        return vision!.Mark is { } mark
            ? where(isPicture, mark, words)
            : words.masked_scatter(isPicture.expand_as(words), vectors);
    }

    /// <param name="embeddings">[B, T, C], without their positions.</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor embeddings, ForwardContext context)
    {
        var x = embeddings;
        if (embed_positions is not null) x = x + embed_positions.call(context.Positions ?? arange(x.shape[1], device: x.device));
        if (dropout > 0 && training) x = nn.functional.dropout(x, dropout);
        x = layers.call(x, context);
        return norm?.call(x) ?? x;
    }
}
