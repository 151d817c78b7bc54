using System.Text.Json;
using Transformer.Configuration;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

/// <summary>DeepSeek-V2 and V3 of Hugging Face's transformers, two layers of random weights; tolerances are those of the goldens.</summary>
public sealed class LatentAttentionGoldenTests
{
    private const string Layer = "model.layers.1.self_attn.";

    public static TheoryData<string> Cases => ["v2", "v2_q_lora", "v3", "v3_half_split", "v3_no_q_lora_bias"];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_and_loss_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var forward = Forward(golden);
        using var model = Model(golden);
        var logits = model.call(forward["ids"], null);
        Near.Equal(forward["logits"], logits, 3e-5, "logits");
        var (read, next) = (logits[.., ..^1], forward["ids"][.., 1..]);
        Near.Equal(forward["loss"].item<float>(), LanguageModelLoss.CrossEntropy(read, next).item<float>(), 1e-5, "loss");
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_output_of_a_layer_is_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var forward = Forward(golden);
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), 8, 24, CPU);
        Near.Equal(forward["attention_output"], LayerOutput(golden, forward, rotary.At(0, 24), scale: null), 1e-5);
    }

    // Their YaRN has two factors of its own, which are given by hand here: one of cosines and sines in place of ours, one of all scores.
    [Theory]
    [InlineData("v2_yarn_mscale", 1.0648216253695715, 0.28585849156279275)]
    [InlineData("v3_yarn", 1, 0.32411924819517657)]
    public void The_output_of_a_layer_under_YaRN_is_the_reference_s(string golden, double amplitude, double scale)
    {
        using var scope = NewDisposeScope();
        var forward = Forward(golden);
        var yarn = new RotaryPositionConfig { Scaling = new YarnScalingConfig { Factor = 4, OriginalLength = 16 } };
        using var rotary = new RotaryPosition(yarn, 8, 24, CPU);
        var (cos, sin) = (rotary.At(0, 24).Cos / yarn.Amplitude, rotary.At(0, 24).Sin / yarn.Amplitude);
        Near.Equal(
            forward["attention_output"], LayerOutput(golden, forward, new(cos * amplitude, sin * amplitude), scale), 1e-5);
    }

    private static Tensor LayerOutput(string golden, Dictionary<string, Tensor> forward, Rotation rotation, double? scale)
    {
        var config = Config(golden);
        var layer = new LatentAttention((LatentAttentionConfig)config.Attention!, config.Width, scale);
        var weights = Golden.Read($"mla/{golden}/model.safetensors");
        using (no_grad())
            foreach (var (name, parameter) in layer.named_parameters()) parameter.copy_(HalfSplit(golden, name, weights[Layer + name]));
        return layer.call(forward["attention_input"], new ForwardContext { Rotation = rotation }, null);
    }

    [Theory]
    [InlineData("v2_q_lora")]
    [InlineData("v3")]
    public void The_gradients_of_a_layer_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var forward = Forward(golden);
        using var model = Model(golden);
        LanguageModelLoss.CrossEntropy(model.call(forward["ids"], null)[.., ..^1], forward["ids"][.., 1..]).backward();
        var gradients = forward.Where(tensor => tensor.Key.StartsWith("grad.", StringComparison.Ordinal)).ToList();
        Assert.Equal(7, gradients.Count);
        foreach (var (name, gradient) in gradients)
            Near.Equal(HalfSplit(golden, name["grad.".Length..], gradient), model.Weight(name["grad.".Length..]).grad!, 1e-6, name);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_cache_holds_what_the_reference_s_holds(string golden)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var forward = Forward(golden);
        using var model = Model(golden);
        using var state = model.NewState(rows: 2);
        model.Hidden(forward["ids"].narrow(1, 0, 9), state);
        model.Hidden(forward["ids"].narrow(1, 9, 15), state);
        for (var row = 0; row < 2; row++)
        {
            var held = Assert.Single(state.Layers[1].Used(row, 24))[0];    // [T, d_c + d_r]
            Near.Equal(forward["c_kv"][row], held[.., ..16], 2e-5, "normalised latent vectors");
            Near.Equal(forward["k_pe_pairs_apart"][row], held[.., 16..], 2e-5, "rotated keys");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Decoding_token_by_token_gives_the_reference_s_logits(string golden)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var forward = Forward(golden);
        using var model = Model(golden);
        using var state = model.NewState(rows: 2);
        var logits = new List<Tensor> { model.call(forward["ids"].narrow(1, 0, 9), state) };
        for (var token = 9; token < 24; token++) logits.Add(model.call(forward["ids"].narrow(1, token, 1), state));
        Near.Equal(forward["logits"], cat(logits, 1), 3e-5);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_CPU_kernels_give_the_reference_s_logits(string golden)
    {
        using var scope = NewDisposeScope();
        var forward = Forward(golden);
        using var model = Model(golden);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 2);
        int[] ids = [.. forward["ids"].data<long>().Select(id => (int)id)];
        engine.Read(state, [0], [24], ids.AsSpan(..24), all: true);
        Compare(row: 0, first: 0, count: 24);
        for (var token = 0; token < 24; token++)
        {
            engine.Read(state, [1], [1], ids.AsSpan(24 + token, 1));
            Compare(row: 1, token, count: 1);
        }

        void Compare(int row, int first, int count)
        {
            for (var token = 0; token < count; token++)
                Near.Equal(forward["logits"][row, first + token], tensor(engine.Logits(token).ToArray()), 3e-5, $"token {first + token}");
        }
    }

    private static Dictionary<string, Tensor> Forward(string golden) => Golden.Read($"mla/{golden}/forward.safetensors");

    private static TransformerModel Model(string golden)
    {
        var model = new TransformerModel(Config(golden));
        var weights = Golden.Read($"mla/{golden}/model.safetensors");
        Assert.Equal(weights.Keys.Order(), model.Weights.Select(weight => weight.Name).Order());
        using var _ = no_grad();
        foreach (var (name, value) in model.Weights) value.copy_(HalfSplit(golden, name, weights[name]));
        return model;
    }

    private static ModelConfig Config(string golden)
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Golden.PathOf($"mla/{golden}/config.json")));
        var fields = file.RootElement;
        return new()
        {
            Width = Number("hidden_size"),
            ContextLength = Number("max_position_embeddings"),
            Layers = Number("num_hidden_layers"),
            VocabularySize = Number("vocab_size"),
            Attention = new LatentAttentionConfig
            {
                Heads = Number("num_attention_heads"),
                HeadWidth = Number("qk_nope_head_dim"),
                RopeWidth = Number("qk_rope_head_dim"),
                ValueWidth = Number("v_head_dim"),
                KvRank = Number("kv_lora_rank"),
                QueryRank = fields.GetProperty("q_lora_rank").ValueKind == JsonValueKind.Null ? null : Number("q_lora_rank"),
                Bias = fields.GetProperty("attention_bias").GetBoolean(),
            },
            Mlp = new SwiGluMlpConfig { Hidden = Number("intermediate_size") },
            Norm = new RmsNormConfig { Epsilon = fields.GetProperty("rms_norm_eps").GetDouble() },
            TiedHead = false,
        };

        int Number(string field) => fields.GetProperty(field).GetInt32();
    }

    // The reference rotates rows 2 i and 2 i + 1 of the rotary parts, but for one case; this library rotates rows i and i + d_r / 2.
    private static Tensor HalfSplit(string golden, string name, Tensor weight)
    {
        if (golden == "v3_half_split") return weight;
        var apart = tensor((long[])[0, 2, 4, 6, 1, 3, 5, 7]);
        if (name.Contains("kv_a_proj", StringComparison.Ordinal))
            return cat([weight[..16], weight[16..].index_select(0, apart)]);
        if (!name.Contains("q_proj", StringComparison.Ordinal) && !name.Contains("q_b_proj", StringComparison.Ordinal)) return weight;
        var heads = weight.unflatten(0, [4, 16]);
        return cat([heads[.., ..8], heads[.., 8..].index_select(1, apart)], 1).flatten(0, 1);
    }
}
