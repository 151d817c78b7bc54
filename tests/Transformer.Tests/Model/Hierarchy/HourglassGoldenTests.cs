using Transformer.Configuration;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Hierarchy;

// B batch · T tokens · C width · V vocabulary

/// <summary>
/// lucidrains/hourglass-transformer-pytorch. Its head has a bias, which is added here; tolerances are those of the goldens.
/// </summary>
public sealed class HourglassGoldenTests
{
    private const double Values = 3e-5, Gradients = 1e-5;
    private const int Width = 32, Heads = 4;

    [Theory]
    [InlineData("naive_s3")]
    [InlineData("naive_s3_attn")]
    [InlineData("linear_s3")]
    [InlineData("linear_s3_attn")]
    [InlineData("nested_s3_s2")]
    public void Logits_and_loss_are_the_reference_s_whether_or_not_the_last_group_is_full(string golden)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var assembled = new Assembled(golden);
        var expected = Golden.Read($"hourglass/{golden}/forward.safetensors");
        var ids = expected["ids"];
        var logits = assembled.Logits(ids);
        Near.Equal(expected["logits"], logits, Values, "logits");
        var loss = LanguageModelLoss.CrossEntropy(logits, expected["targets"]);
        Near.Equal(expected["loss"].item<float>(), loss.item<float>(), Gradients, "loss");
        Near.Equal(
            expected["logits_one_token_less"], assembled.Logits(ids.narrow(1, 0, ids.shape[1] - 1)), Values, "logits of one token less");
    }

    [Theory]
    [InlineData("naive_s3")]
    [InlineData("naive_s3_attn")]
    public void Gradients_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        using var assembled = new Assembled(golden);
        var forward = Golden.Read($"hourglass/{golden}/forward.safetensors");
        var expected = Golden.Read($"hourglass/{golden}/grads.safetensors");
        LanguageModelLoss.CrossEntropy(assembled.Logits(forward["ids"]), forward["targets"]).backward();
        var compared = new HashSet<string>();
        foreach (var (ours, its, gradient) in assembled.Parameters.Select(found => (found.Ours, found.Its, found.Value.grad!)))
        {
            compared.Add(its.Name);
            Near.Equal(its.Of(expected[its.Name], gradient.shape[0]), gradient, Gradients, ours);
        }
        Assert.Equal(expected.Keys.Order(), compared.Order());
    }

    /// <summary>Rows of one of the reference's tensors, in which keys and values are joined.</summary>
    private sealed record Part(string Name, long First = 0)
    {
        public Tensor Of(Tensor whole, long count) => whole.narrow(0, First, count);
    }

    private sealed class Assembled : IDisposable
    {
        private readonly TransformerModel model;
        private readonly Tensor headBias;

        public Assembled(string golden)
        {
            var config = new ModelConfig
            {
                Width = Width,
                ContextLength = 36,
                Layers = [1, Hourglass(golden), 1],
                VocabularySize = 43,
                Attention = new SoftmaxAttentionConfig { Heads = Heads, Bias = true },
                Position = new LearnedPositionConfig(),
                Mlp = new GeluMlpConfig { Bias = true },
                Norm = new LayerNormConfig(),
                TiedHead = false,
            };
            Assert.Empty(config.Problems());
            model = new TransformerModel(config);
            var weights = Golden.Read($"hourglass/{golden}/weights.safetensors");
            headBias = weights["to_logits.bias"].requires_grad_();
            Parameters =
            [
                .. from weight in model.Weights
                   let its = Its(weight.Name, isNested: golden.StartsWith("nested", StringComparison.Ordinal))
                   where its is not null
                   select (weight.Name, its, weight.Value),
                ("the bias of the head", new("to_logits.bias"), headBias),
            ];
            Assert.Equal(weights.Keys.Order(), Parameters.Select(found => found.Its.Name).Distinct().Order());
            using var _ = no_grad();
            // Those of queries, keys and values, which the reference has not, are zeros.
            foreach (var (_, bias) in model.Weights.Where(weight => weight.Name.EndsWith(".bias", StringComparison.Ordinal))) bias.zero_();
            foreach (var (_, its, value) in Parameters.SkipLast(1)) value.copy_(its.Of(weights[its.Name], value.shape[0]));
        }

        public IReadOnlyList<(string Ours, Part Its, Tensor Value)> Parameters { get; }

        /// <param name="ids">[B, T]</param>
        /// <returns>[B, T, V]</returns>
        public Tensor Logits(Tensor ids) => model.Logits(model.Hidden(ids)) + headBias;

        public void Dispose() => model.Dispose();

        private static HourglassConfig Hourglass(string golden)
        {
            var isLinear = golden.StartsWith("linear", StringComparison.Ordinal);
            PoolingConfig pooling = isLinear ? new LinearPoolingConfig() : new AveragePoolingConfig();
            UpsamplingConfig upsampling = isLinear ? new LinearUpsamplingConfig() : new RepeatUpsamplingConfig();
            var resamples = golden.EndsWith("attn", StringComparison.Ordinal);
            return new()
            {
                Shorten = 3,
                Layers = golden == "nested_s3_s2" ? [1, new HourglassConfig { Shorten = 2, Layers = 1 }, 1] : 1,
                Pooling = resamples ? new AttentionPoolingConfig { Heads = Heads, Bias = true, Initial = pooling } : pooling,
                Upsampling = resamples ? new AttentionUpsamplingConfig { Heads = Heads, Bias = true, Initial = upsampling } : upsampling,
            };
        }

        // Null for the biases of queries, keys and values.
        private static Part? Its(string ours, bool isNested) => ours.Split('.') switch
        {
            ["lm_head", "weight"] => new("to_logits.weight"),
            ["model", "embed_tokens", "weight"] => new("token_emb.weight"),
            ["model", "embed_positions", "weight"] => new("pos_emb.weight"),
            ["model", "norm", var kind] => new($"transformer.norm_out.{kind}"),
            ["model", "layers", .. var node] => OfNode(node, "transformer", isNested),
            _ => throw new ArgumentException($"the reference has no {ours}", nameof(ours)),
        };

        private static Part? OfNode(string[] node, string path, bool isNested) => node switch
        {
            ["0", .. var block] => OfBlock(block, $"{path}.pre_transformer.layers.0"),
            ["2", .. var block] => OfBlock(block, $"{path}.post_transformer.layers.0"),
            ["1", "layers", .. var inner] when isNested => OfNode(inner, $"{path}.valley_transformer", isNested: false),
            ["1", "layers", "0", .. var block] => OfBlock(block, $"{path}.valley_transformer.layers.0"),
            ["1", "pooling", "resampling", .. var block] => OfBlock(block, $"{path}.attn_resampling_pre_valley.layers.0"),
            ["1", "upsampling", "resampling", .. var block] => OfBlock(block, $"{path}.attn_resampling_post_valley.layers.0"),
            ["1", "pooling", .., "proj", var kind] => new($"{path}.downsample.proj.{kind}"),
            ["1", "upsampling", .., "proj", var kind] => new($"{path}.upsample.proj.{kind}"),
            _ => throw new ArgumentException($"the reference has no {string.Join('.', node)}", nameof(node)),
        };

        private static Part? OfBlock(string[] part, string path) => part switch
        {
            ["input_layernorm", var kind] => new($"{path}.0.norm.{kind}"),
            ["post_attention_layernorm", var kind] => new($"{path}.1.norm.{kind}"),
            [_, "o_proj", var kind] => new($"{path}.0.fn.to_out.{kind}"),
            [_, "q_proj" or "k_proj" or "v_proj", "bias"] => null,
            [_, "q_proj", _] => new($"{path}.0.fn.to_q.weight"),
            [_, "k_proj", _] => new($"{path}.0.fn.to_kv.weight"),
            [_, "v_proj", _] => new($"{path}.0.fn.to_kv.weight", Width),
            ["mlp", "up_proj", var kind] => new($"{path}.1.fn.0.{kind}"),
            ["mlp", "down_proj", var kind] => new($"{path}.1.fn.3.{kind}"),
            _ => throw new ArgumentException($"the reference has no {string.Join('.', part)}", nameof(part)),
        };
    }
}
