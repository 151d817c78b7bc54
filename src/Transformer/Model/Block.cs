using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using Transformer.Layers.Residuals;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width

/// <summary>
/// One layer of the stack: tokens exchange information, then each is worked on by itself. How the two sub-layers meet the stream is up to the residual;
/// for pre-norm (Xiong et al. 2020) it is x + attention(norm(x)), then x + mlp(norm(x)).
/// </summary>
public sealed class Block : nn.Module<Tensor, ForwardContext, LayerState?, Tensor>
{
    // The names of the four norms are those of Llama, OLMo 2 and Gemma 2, where the second one stands before the MLP or after the attention.
    private readonly nn.Module<Tensor, Tensor>? input_layernorm;
    private readonly TokenMixer self_attn;
    private readonly nn.Module<Tensor, Tensor>? post_attention_layernorm;
    private readonly nn.Module<Tensor, Tensor>? pre_feedforward_layernorm;
    private readonly Mlp? mlp;
    private readonly nn.Module<Tensor, Tensor>? post_feedforward_layernorm;
    private readonly Residual self_attn_residual;
    private readonly Residual? mlp_residual;
    private readonly double dropout;

    /// <param name="config">The model that the block is part of.</param>
    /// <param name="layer">Which block, 0 being the one after the embedding.</param>
    public Block(ModelConfig config, int layer) : base(nameof(Block))
    {
        self_attn = TokenMixer.FromConfig(config, layer);
        self_attn_residual = config.Residual switch
        {
            PreNormResidualConfig => new PreNormResidual(input_layernorm = Norm()),
            PostNormResidualConfig => new PostNormResidual(post_attention_layernorm = Norm()),
            SandwichResidualConfig => new SandwichResidual(input_layernorm = Norm(), post_attention_layernorm = Norm()),
            DeepNormResidualConfig => new DeepNormResidual(post_attention_layernorm = Norm(), config.Layers),
            ReZeroResidualConfig => new ReZeroResidual(),
            HyperConnectionsResidualConfig hyper => new HyperConnections(input_layernorm = Norm(), hyper.Streams, config.SubLayers * layer),
            var other => throw new ArgumentOutOfRangeException(nameof(config), other, "no such residual"),
        };
        if (config.Mlp is not NoMlpConfig)
        {
            mlp = Mlp.FromConfig(config.Mlp, config.Width);
            mlp_residual = config.Residual switch
            {
                PreNormResidualConfig => new PreNormResidual(post_attention_layernorm = Norm()),
                PostNormResidualConfig => new PostNormResidual(post_feedforward_layernorm = Norm()),
                SandwichResidualConfig => new SandwichResidual(pre_feedforward_layernorm = Norm(), post_feedforward_layernorm = Norm()),
                DeepNormResidualConfig => new DeepNormResidual(post_feedforward_layernorm = Norm(), config.Layers),
                ReZeroResidualConfig => new ReZeroResidual(),
                HyperConnectionsResidualConfig hyper => new HyperConnections(post_attention_layernorm = Norm(), hyper.Streams, config.SubLayers * layer + 1),
                var other => throw new ArgumentOutOfRangeException(nameof(config), other, "no such residual"),
            };
        }
        dropout = config.Dropout;
        RegisterComponents();

        nn.Module<Tensor, Tensor> Norm() => Layers.Norms.Norm.FromConfig(config.Norm, config.Width);
    }

    /// <inheritdoc cref="TokenMixer.NewState"/>
    public LayerState NewState(int rows, int length, Device device) => self_attn.NewState(rows, length, device);

    /// <inheritdoc cref="Residual.Open"/>
    public Tensor Open(Tensor x) => self_attn_residual.Open(x);

    /// <inheritdoc cref="Residual.Close"/>
    public Tensor Close(Tensor stream) => self_attn_residual.Close(stream);

    /// <param name="stream">[B, T, C], or what <see cref="Open"/> made of it.</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <param name="state">This layer's part of the generation's state, or null.</param>
    /// <returns>The stream after this block, of the same shape.</returns>
    public override Tensor forward(Tensor stream, ForwardContext context, LayerState? state)
    {
        using var scope = NewDisposeScope();
        stream = self_attn_residual.Apply(stream, x => Drop(context.OverRanks(x, x => self_attn.call(context.ForMatmul(x), context, state))));
        if (mlp is not null) stream = mlp_residual!.Apply(stream, x => Drop(context.OverRanks(x, x => mlp.call(context.ForMatmul(x), context))));
        return scope.MoveToOuter(stream);
    }

    private Tensor Drop(Tensor x) => dropout > 0 && training ? nn.functional.dropout(x, dropout) : x;
}
