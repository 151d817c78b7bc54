using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using Transformer.Layers.Vision;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Vision;

// B batch · T tokens · I pictures · N vectors of a picture · C width

/// <summary>
/// LLaVA and Idefics 3 of transformers: pictures in the place of placeholders. LLaVA's tower has a class token, a norm before its blocks
/// and quick-GELU, and is assembled here; tolerances are those of the goldens.
/// </summary>
public sealed class PrefixGoldenTests
{
    private const double Values = 3e-5, Gradients = 3e-5;
    private const int Placeholder = 60;

    [Fact]
    public void Idefics_3_is_a_configuration_of_ours()
    {
        using var scope = NewDisposeScope();
        var (golden, weights) = (Golden.Read("fusion/idefics3/forward.safetensors"), Golden.Read("fusion/idefics3/model.safetensors"));
        using var model = Idefics(weights);
        var pixels = golden["pixel_values"].flatten(0, 1)[tensor(new long[] { 0, 1, 2 })];          // the fourth is filling
        var vectors = model.EncodePictures(pixels);
        Near.Equal(golden["projected"], vectors, Values, "projected");
        var ids = WithPictures(golden["ids"]);
        var logits = model.Logits(model.Hidden(ids, pictures: new(vectors, [0, 1, 2])));
        Near.Equal(golden["logits"], logits, Values, "logits");
        CheckLoss(golden, logits);
        Near.Equal(golden["text_logits"], model.forward(golden["text_ids"], null), Values, "logits without pictures");
        const string vision = "grad.model.vision_model.embeddings.";
        foreach (var (ours, its) in new[]
        {
            ("model.vision.patch_embedding.weight", $"{vision}patch_embedding.weight"),
            ("model.vision.patch_embedding.bias", $"{vision}patch_embedding.bias"),
            ("model.vision.positions.table.weight", $"{vision}position_embedding.weight"),
            ("model.vision.projector.proj.weight", "grad.model.connector.modality_projection.proj.weight"),
            ("model.embed_tokens.weight", "grad.model.text_model.embed_tokens.weight"),
            ("lm_head.weight", "grad.lm_head.weight"),
        })
        {
            Near.Equal(golden[its].view(model.Weight(ours).shape), model.Weight(ours).grad!, Gradients, ours);
        }
    }

    [Fact]
    public void LLaVA_s_tower_projector_and_text_give_its_logits_and_gradients()
    {
        using var scope = NewDisposeScope();
        var (golden, weights) = (Golden.Read("fusion/llava/forward.safetensors"), Golden.Read("fusion/llava/model.safetensors"));
        using var tower = new Tower(weights);
        var features = tower.Features(golden["pixel_values"]);
        Near.Equal(golden["projector_input"], features, Values, "features");
        using var model = Llava(weights);
        var vectors = Project(model, features);
        Near.Equal(golden["projected"], vectors, Values, "projected");
        var logits = model.Logits(model.Hidden(WithPictures(golden["ids"]), pictures: new(vectors, [0, 1, 2])));
        Near.Equal(golden["logits"], logits, Values, "logits");
        CheckLoss(golden, logits);
        const string tower_ = "grad.model.vision_tower.embeddings.";
        Near.Equal(golden[$"{tower_}patch_embedding.weight"].flatten(1), tower.Patch.grad!, Gradients, "patches");
        Near.Equal(golden[$"{tower_}position_embedding.weight"], tower.Positions.grad!, Gradients, "positions");
        Near.Equal(golden[$"{tower_}class_embedding"], tower.Class.grad!, Gradients, "class token");
        foreach (var part in new[] { "linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias" })
        {
            var found = model.Weight($"model.vision.projector.{part}").grad!;
            Near.Equal(golden[$"grad.model.multi_modal_projector.{part}"], found, Gradients, part);
        }
    }

    // Placeholders are ids below 0 here, since a picture is no token.
    private static Tensor WithPictures(Tensor ids) => where(ids == Placeholder, tensor(-1L), ids);

    private static void CheckLoss(Dictionary<string, Tensor> golden, Tensor logits)
    {
        var last = logits.shape[1] - 1;
        var loss = LanguageModelLoss.CrossEntropy(logits.narrow(1, 0, last), golden["labels"].narrow(1, 1, last));
        Near.Equal(golden["loss"].item<float>(), loss.item<float>(), 1e-5, "loss");
        loss.backward();
    }

    private static Tensor Project(TransformerModel model, Tensor features)
    {
        var projector = model.modules().OfType<Projector>().Single();
        return projector.call(features, new ForwardContext());
    }

    private static TransformerModel Idefics(Dictionary<string, Tensor> weights)
    {
        var config = FusionModels.Config with
        {
            Vision = new PrefixVisionConfig
            {
                Image = new() { Size = 16 },
                Patch = 4,
                Encoder = new()
                {
                    Bias = true,
                    Mlp = new GeluTanhMlpConfig { Hidden = 32, Bias = true },
                    Norm = new LayerNormConfig { Epsilon = 1e-6 },
                    Positions = GridPositions.Table,
                },
                Projector = new PixelShuffleProjectorConfig(),
            },
        };
        Assert.Empty(config.Problems());
        return FusionModels.Load(new TransformerModel(config), name => weights[name
            .Replace("model.vision.projector.proj", "model.connector.modality_projection.proj")
            .Replace("model.vision.norm", "model.vision_model.post_layernorm")
            .Replace("model.vision.positions.table", "model.vision_model.embeddings.position_embedding")
            .Replace("model.vision.patch_embedding", "model.vision_model.embeddings.patch_embedding")
            .Replace("model.vision.layers", "model.vision_model.encoder.layers") is var its && its.Contains("vision_model")
                ? its.Replace("input_layernorm", "layer_norm1").Replace("post_attention_layernorm", "layer_norm2")
                    .Replace("o_proj", "out_proj").Replace("up_proj", "fc1").Replace("down_proj", "fc2")
                : its.StartsWith("model.connector", StringComparison.Ordinal) ? its : its.Replace("model.", "model.text_model.")]);
    }

    // The vision tower of the configuration is not used; its projector is.
    private static TransformerModel Llava(Dictionary<string, Tensor> weights)
    {
        var config = FusionModels.Config with
        {
            Vision = new PrefixVisionConfig
            {
                Image = new() { Size = 16 },
                Patch = 4,
                Encoder = new() { Layers = 0 },
                Projector = new MlpProjectorConfig(),
            },
        };
        var model = new TransformerModel(config);
        return FusionModels.Load(model, name => name.StartsWith("model.vision.projector.", StringComparison.Ordinal)
            ? weights[name.Replace("model.vision.projector", "multi_modal_projector")]
            : name.StartsWith("model.vision.", StringComparison.Ordinal) ? model.Weight(name)
            : weights[$"language_model.{name}"]);
    }

    /// <summary>CLIP's tower up to the layer before the last.</summary>
    private sealed class Tower : IDisposable
    {
        private readonly Dictionary<string, Tensor> weights;
        private readonly Block block;

        public Tower(Dictionary<string, Tensor> weights)
        {
            this.weights = weights;
            var model = FusionModels.Config with { Norm = new LayerNormConfig() };
            block = new Block(
                [
                    new Sublayer(model, new("self_attn", 0, "layer_norm1", null), new Transformer.Layers.Attention.SoftmaxAttention(
                        new SoftmaxAttentionConfig { Heads = 4, Bias = true }, 32)),
                    new Sublayer(
                        model, new("mlp", 1, "layer_norm2", null), new PlainMlp(32, 32, bias: true, x => x * (1.702 * x).sigmoid())),
                ], depth: 0);
            using var _ = no_grad();
            foreach (var (name, value) in block.named_parameters())
                value.copy_(weights["vision_tower.encoder.layers.0." + name
                    .Replace("o_proj", "out_proj").Replace("up_proj", "fc1").Replace("down_proj", "fc2")]);
            Patch = Of("embeddings.patch_embedding.weight").flatten(1).detach().requires_grad_();
            Positions = Of("embeddings.position_embedding.weight").requires_grad_();
            Class = Of("embeddings.class_embedding").requires_grad_();
        }

        public Tensor Patch { get; }

        public Tensor Positions { get; }

        public Tensor Class { get; }

        public Tensor Features(Tensor pixels)
        {
            var patches = nn.functional.linear(PatchEmbedding.Patches(pixels, 4, 4), Patch);        // [I, N, C]
            var x = cat([Class.expand(patches.shape[0], 1, -1), patches], 1) + Positions;
            x = nn.functional.layer_norm(x, [32], Of("pre_layrnorm.weight"), Of("pre_layrnorm.bias"), 1e-5);
            return block.call(x, new ForwardContext { Causal = false }).narrow(1, 1, patches.shape[1]);
        }

        public void Dispose() => block.Dispose();

        private Tensor Of(string name) => weights[$"vision_tower.{name}"];
    }
}
