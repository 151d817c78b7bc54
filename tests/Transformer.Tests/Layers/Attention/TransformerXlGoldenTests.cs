using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Memory;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · C width · V vocabulary

/// <summary>
/// kimiyoung/transformer-xl, assembled from our blocks since it scales embeddings, has no last norm and a bias in its head; tolerances are
/// those of the goldens.
/// </summary>
public sealed class TransformerXlGoldenTests
{
    private const double Values = 3e-5, Gradients = 1e-5;
    private const int Segments = 4;

    [Theory]
    [InlineData("post_norm")]
    [InlineData("pre_norm")]
    [InlineData("clamp10_same_length")]
    public void Segments_with_memory_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        using var model = new Assembled(golden);
        var expected = Golden.Read($"transformer-xl/{golden}/segments.safetensors");
        SegmentMemory? memory = null;
        for (var segment = 0; segment < Segments; segment++)
        {
            (var hidden, memory) = model.Read(expected["ids"][segment].t(), memory);
            var logits = model.Logits(hidden);
            var nll = nn.functional.cross_entropy(
                logits.flatten(0, 1), expected["targets"][segment].t().flatten(), reduction: nn.Reduction.None).view(2, 8);
            Near.Equal(expected[$"segment{segment}.hidden"], hidden.transpose(0, 1), Values, $"hidden of segment {segment}");
            Near.Equal(expected[$"segment{segment}.logits"], logits.transpose(0, 1), Values, $"logits of segment {segment}");
            Near.Equal(expected[$"segment{segment}.nll"], nll.t(), Values, $"losses of segment {segment}");
            if (golden == "pre_norm") continue;    // its memory is what is normalised, ours what has been
            for (var layer = 0; layer < Assembled.Layers; layer++)
            {
                Near.Equal(
                    expected[$"segment{segment}.mems_after.{layer}"], memory.Of(model.Mixers[layer])![0].transpose(0, 1), Values,
                    $"memory of block {layer} after segment {segment}");
            }
        }
    }

    [Fact]
    public void Gradients_are_the_reference_s()
    {
        using var scope = NewDisposeScope();
        using var model = new Assembled("post_norm");
        var segments = Golden.Read("transformer-xl/post_norm/segments.safetensors");
        var expected = Golden.Read("transformer-xl/post_norm/grads.safetensors");
        SegmentMemory? memory = null;
        var loss = zeros(1);
        for (var segment = 0; segment < Segments; segment++)
        {
            (var hidden, memory) = model.Read(segments["ids"][segment].t(), memory);
            loss = loss + LanguageModelLoss.CrossEntropy(model.Logits(hidden), segments["targets"][segment].t());
        }
        Near.Equal(expected["total_loss"].item<float>(), loss.item<float>(), Values, "loss");
        loss.backward();
        foreach (var (name, gradient) in model.Gradients()) Near.Equal(expected[name], gradient, Gradients, name);
    }

    private sealed class Assembled : IDisposable
    {
        public const int Layers = 3;

        private readonly Tensor embedding, bias;
        private readonly Stack stack;

        public Assembled(string golden)
        {
            var config = new ModelConfig
            {
                Width = 32,
                ContextLength = 8,
                Layers = Layers,
                VocabularySize = 50,
                Attention = new TransformerXlAttentionConfig
                {
                    Heads = 4,
                    MemoryLength = 12,
                    SameLength = golden == "clamp10_same_length",
                    ClampLength = golden == "clamp10_same_length" ? 10 : null,
                },
                Position = new NoPositionConfig(),
                Mlp = new ReluMlpConfig { Hidden = 64, Bias = true },
                Norm = new LayerNormConfig(),
                Residual = golden == "pre_norm" ? new PreNormResidualConfig() : new PostNormResidualConfig(),
            };
            var weights = Golden.Read($"transformer-xl/{golden}/weights.safetensors");
            embedding = weights["word_emb.emb_layers.0.weight"].requires_grad_();
            bias = weights["crit.out_layers.0.bias"].requires_grad_();
            stack = new Stack([.. config.Blocks().Select(block => new Block(config, block))]);
            using var _ = no_grad();
            foreach (var (name, parameter) in stack.named_parameters()) parameter.copy_(Its(name, weights, golden == "pre_norm"));
        }

        public TransformerXlAttention[] Mixers => [.. stack.modules().OfType<TransformerXlAttention>()];

        /// <param name="ids">[B, T]</param>
        /// <param name="memory">What is remembered of the segments before.</param>
        /// <returns>[B, T, C] and what is then remembered.</returns>
        public (Tensor Hidden, SegmentMemory Memory) Read(Tensor ids, SegmentMemory? memory)
        {
            var after = new SegmentMemory([.. Enumerable.Range(0, 2).Select(row => (memory?.Lengths[row] ?? 0) + ids.shape[1])]);
            var embeddings = embedding.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], -1) * Math.Sqrt(32);
            return (stack.call(embeddings, new ForwardContext { MemoryBefore = memory, MemoryAfter = after }), after);
        }

        public Tensor Logits(Tensor hidden) => nn.functional.linear(hidden, embedding, bias);

        /// <summary>By the reference's names; what it shares between blocks or joins in one matrix is added up or joined here.</summary>
        public IEnumerable<(string Name, Tensor Gradient)> Gradients()
        {
            Tensor Of(string name) => stack.Weight(name).grad!;
            yield return ("word_emb.emb_layers.0.weight", embedding.grad!);
            yield return ("crit.out_layers.0.bias", bias.grad!);
            foreach (var (its, ours) in new[] { ("r_w_bias", "u_bias"), ("r_r_bias", "v_bias") })
            {
                var ofBlocks = Enumerable.Range(0, Layers).Select(layer => Of($"{layer}.self_attn.{ours}"));
                yield return (its, ofBlocks.Aggregate((a, b) => a + b).view(4, 8));
            }
            for (var layer = 0; layer < Layers; layer++)
            {
                var joined = cat([.. "qkv".Select(part => Of($"{layer}.self_attn.{part}_proj.weight"))], 0);
                yield return ($"layers.{layer}.dec_attn.qkv_net.weight", joined);
                yield return ($"layers.{layer}.dec_attn.r_net.weight", Of($"{layer}.self_attn.r_proj.weight"));
                yield return ($"layers.{layer}.dec_attn.o_net.weight", Of($"{layer}.self_attn.o_proj.weight"));
                yield return ($"layers.{layer}.pos_ff.CoreNet.0.weight", Of($"{layer}.mlp.up_proj.weight"));
                yield return ($"layers.{layer}.pos_ff.CoreNet.3.weight", Of($"{layer}.mlp.down_proj.weight"));
            }
        }

        public void Dispose() => stack.Dispose();

        private static Tensor Its(string name, Dictionary<string, Tensor> weights, bool isPreNorm)
        {
            var parts = name.Split('.');
            var (block, last) = ($"layers.{parts[0]}", parts[^1]);
            return string.Join('.', parts[1..^1]) switch
            {
                "self_attn" => weights[last == "u_bias" ? "r_w_bias" : "r_r_bias"].flatten(),
                "self_attn.q_proj" => weights[$"{block}.dec_attn.qkv_net.weight"].narrow(0, 0, 32),
                "self_attn.k_proj" => weights[$"{block}.dec_attn.qkv_net.weight"].narrow(0, 32, 32),
                "self_attn.v_proj" => weights[$"{block}.dec_attn.qkv_net.weight"].narrow(0, 64, 32),
                "self_attn.r_proj" => weights[$"{block}.dec_attn.r_net.weight"],
                "self_attn.o_proj" => weights[$"{block}.dec_attn.o_net.weight"],
                "mlp.up_proj" => weights[$"{block}.pos_ff.CoreNet.0.{last}"],
                "mlp.down_proj" => weights[$"{block}.pos_ff.CoreNet.3.{last}"],
                // post_attention_layernorm stands behind the attention under post-norm, and before the MLP under pre-norm.
                "input_layernorm" => weights[$"{block}.dec_attn.layer_norm.{last}"],
                "post_attention_layernorm" => weights[$"{block}.{(isPreNorm ? "pos_ff" : "dec_attn")}.layer_norm.{last}"],
                _ => weights[$"{block}.pos_ff.layer_norm.{last}"],
            };
        }

    }
}
