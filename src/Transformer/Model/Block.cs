using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using Transformer.Layers.Norms;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width

/// <summary>
/// One layer of the stack: tokens exchange information, then each is worked on by itself. Both sub-layers read the normalised stream and add
/// to it (pre-norm; Xiong et al. 2020): x + attention(norm(x)), then x + mlp(norm(x)).
/// </summary>
public sealed class Block : nn.Module<Tensor, ForwardContext, LayerState?, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> input_layernorm;
    private readonly TokenMixer self_attn;
    private readonly nn.Module<Tensor, Tensor>? post_attention_layernorm;
    private readonly nn.Module<Tensor, Tensor>? mlp;
    private readonly double dropout;

    /// <param name="config">The model that the block is part of.</param>
    /// <param name="layer">Which block, 0 being the one after the embedding.</param>
    public Block(ModelConfig config, int layer) : base(nameof(Block))
    {
        input_layernorm = Norm.FromConfig(config.Norm, config.Width);
        self_attn = TokenMixer.FromConfig(config, layer);
        if (config.Mlp is not NoMlpConfig)
        {
            post_attention_layernorm = Norm.FromConfig(config.Norm, config.Width);
            mlp = Mlp.FromConfig(config.Mlp, config.Width);
        }
        dropout = config.Dropout;
        RegisterComponents();
    }

    /// <inheritdoc cref="TokenMixer.NewState"/>
    public LayerState NewState(int rows, int length, Device device) => self_attn.NewState(rows, length, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <param name="state">This layer's part of the generation's state, or null.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        using var scope = NewDisposeScope();
        x = x + Drop(self_attn.call(input_layernorm.call(x), context, state));
        if (mlp is not null) x = x + Drop(mlp.call(post_attention_layernorm!.call(x)));
        return scope.MoveToOuter(x);
    }

    private Tensor Drop(Tensor x) => dropout > 0 && training ? nn.functional.dropout(x, dropout) : x;
}
