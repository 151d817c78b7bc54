using Transformer.Configuration;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Vision;

/// <summary>The small Llama that the goldens of fusion have in common.</summary>
internal static class FusionModels
{
    public static ModelConfig Config { get; } = new()
    {
        Width = 32,
        ContextLength = 96,
        Layers = 2,
        VocabularySize = 64,
        Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 },
        Mlp = new SwiGluMlpConfig { Hidden = 40 },
        TiedHead = false,
    };

    /// <summary>The text model alone.</summary>
    /// <param name="weights">The reference's.</param>
    /// <param name="prefix">What stands before its names.</param>
    public static TransformerModel Llama(Dictionary<string, Tensor> weights, string prefix) =>
        Load(new TransformerModel(Config), name => weights[prefix + name]);

    /// <summary>A model with the reference's weights.</summary>
    public static TransformerModel Load(TransformerModel model, Func<string, Tensor> its)
    {
        using var _ = no_grad();
        foreach (var (name, value) in model.Weights) value.copy_(its(name).view(value.shape));
        return model;
    }

    /// <summary>Logits of embeddings, with something else before each block.</summary>
    /// <param name="model">The model.</param>
    /// <param name="embeddings">[B, T, C]</param>
    /// <param name="before">The stream before a block, by the block's depth.</param>
    /// <returns>[B, T, V]</returns>
    public static Tensor Logits(TransformerModel model, Tensor embeddings, Func<int, Tensor, Tensor> before)
    {
        model.BlockHooks = new Before(before);
        try
        {
            return model.Logits(model.HiddenFromEmbeddings(embeddings));
        }
        finally
        {
            model.BlockHooks = null;
        }
    }

    private sealed class Before(Func<int, Tensor, Tensor> before) : BlockHooks
    {
        public override Tensor BeforeBlock(int layer, Tensor stream) => before(layer, stream);
    }
}
