using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Tests.Formats;

public sealed class HuggingFaceConfigTests : IDisposable
{
    private static readonly ModelConfig Llama = new()
    {
        Width = 48,
        ContextLength = 40,
        Layers = 3,
        VocabularySize = 101,
        Attention = new SoftmaxAttentionConfig { Heads = 6, KvHeads = 2 },
        Mlp = new SwiGluMlpConfig { Hidden = 128 },
    };

    private static readonly ModelConfig Gpt2 = new()
    {
        Width = 32,
        ContextLength = 24,
        Layers = 2,
        VocabularySize = 97,
        Attention = new SoftmaxAttentionConfig { Heads = 4, Bias = true },
        Position = new LearnedPositionConfig(),
        Mlp = new GeluMlpConfig { Hidden = 128, Bias = true },
        Norm = new LayerNormConfig(),
    };

    private readonly string path = Path.GetTempFileName();

    public void Dispose() => File.Delete(path);

    [Fact]
    public void The_goldens_configs_are_these_models()
    {
        Assert.Equal(Gpt2, HuggingFaceConfig.Read(Golden("nanogpt/bias")));
        Assert.Equal(new GeluMlpConfig { Hidden = 128 }, HuggingFaceConfig.Read(Golden("nanogpt/nobias")).Mlp);
        Assert.Equal(new LayerNormConfig { Bias = false }, HuggingFaceConfig.Read(Golden("nanogpt/nobias")).Norm);
        Assert.Equal(Llama, HuggingFaceConfig.Read(Golden("llama/tied")));
        Assert.Equal(Llama with { TiedHead = false }, HuggingFaceConfig.Read(Golden("llama/untied")));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        Assert.Equal(Llama, Read(HuggingFaceConfig.ToLlama(Llama)));
        Assert.Equal(Gpt2, Read(HuggingFaceConfig.ToGpt2(Gpt2)));
        var wideHeads = Llama with { Attention = new SoftmaxAttentionConfig { Heads = 6, KvHeads = 3, HeadWidth = 16, Bias = true } };
        Assert.Equal(wideHeads, Read(HuggingFaceConfig.ToLlama(wideHeads)));
    }

    public static TheoryData<string, ModelConfig> NoLlamas() => new()
    {
        { "norm", Llama with
        { Attention = new SoftmaxAttentionConfig { Heads = 6, QueryKeyNorm = true }, Norm = new LayerNormConfig() } },
        { "mlp", Llama with
        { Attention = new SoftmaxAttentionConfig { Heads = 6, QueryKeyNorm = true },
            Mlp = new SwiGluMlpConfig { Hidden = 128, Bias = true } } },
        { "attention", Llama with { Attention = new SoftmaxAttentionConfig { Heads = 6, LogitSoftCap = 30 } } },
        { "attention", Llama with { Attention = new SoftmaxAttentionConfig { Heads = 6, ValueResidual = true } } },
        { "norm.epsilon", Llama with
        { Attention = new SoftmaxAttentionConfig { Heads = 6, QueryKeyNorm = true }, Norm = new RmsNormConfig { Epsilon = 1e-6 } } },
        { "position", Llama with
        { ContextLength = 400_000_000, Position = new RotaryPositionConfig
            { Scaling = new DynamicNtkScalingConfig { Factor = 1e7, OriginalLength = 40 } } } },
        { "context_length", Llama with { ContextLength = 400_000_000 } },
        { "width", Llama with { Width = 480_000 } },
        { "mlp", Llama with { Mlp = new SwiGluMlpConfig { Hidden = 300_000 } } },
        { "mlp", Llama with { Mlp = new ReluMlpConfig() } },
        { "mlp", Llama with { Mlp = new MixtureMlpConfig { Experts = 4, Active = 2, Expert = new SwiGluMlpConfig { Hidden = 128 } } } },
        { "residual", Llama with { Residual = new PostNormResidualConfig() } },
        { "residual", Llama with { Residual = new SandwichResidualConfig() } },
        { "residual", Llama with { Residual = new DeepNormResidualConfig() } },
        { "residual", Llama with { Residual = new ReZeroResidualConfig() } },
        { "residual", Llama with { Residual = new HyperConnectionsResidualConfig() } },
        { "norm", Llama with { Norm = new LayerNormConfig() } },
        { "position.kind", Llama with { Position = new LearnedPositionConfig() } },
        { "position.kind", Llama with { Position = new AlibiPositionConfig() } },
        { "position", Llama with { Position = new RotaryPositionConfig { Scaling = new NtkScalingConfig { Factor = 2 } } } },
        { "initialization", Llama with { Initialization = new MupInitializationConfig { BaseWidth = 16 } } },
        { "vision", Llama with { Vision = new PrefixVisionConfig() } },
        { "vision", Llama with { Vision = new GatedCrossAttentionConfig { Heads = 6 } } },
        { "vocabulary_size", Llama with { VocabularySize = null } },
        { "position.kind", Gpt2 },
        { "mlp.kind", Llama with { Mlp = new NoMlpConfig() } },
        { "attention.kind", Llama with { Attention = new LatentAttentionConfig { Heads = 6, KvRank = 16 } } },
        { "attention.kind", Llama with { Attention = new ForgettingAttentionConfig { Heads = 6 } } },
    };

    [Theory, MemberData(nameof(NoLlamas))]
    public void A_model_that_is_no_Llama_is_refused_by_name(string key, ModelConfig model)
    {
        Assert.StartsWith(key, HuggingFaceConfig.LlamaObstacle(model));
        Assert.StartsWith($"model.{key}", Assert.Throws<InputException>(() => HuggingFaceConfig.ToLlama(model)).Message);
    }

    [Fact]
    public void A_Llama_with_norms_of_queries_and_keys_is_a_Qwen_3()
    {
        var model = Llama with { Attention = new SoftmaxAttentionConfig { Heads = 6, KvHeads = 2, QueryKeyNorm = true } };
        var config = HuggingFaceConfig.ToLlama(model);
        Assert.Equal(("qwen3", "Qwen3ForCausalLM"), ((string)config["model_type"]!, (string)config["architectures"]![0]!));
        Assert.Equal(model, Read(config));
        config["rms_norm_eps"] = 1e-6;
        Assert.Contains("rms_norm_eps: found 1e-06, expected 1e-05", Assert.Throws<InputException>(() => Read(config)).Message);
    }

    [Fact]
    public void A_gpt_2_of_another_residual_is_refused_by_name()
    {
        Assert.Null(HuggingFaceConfig.Gpt2Obstacle(Gpt2));
        Assert.Equal("vision", HuggingFaceConfig.Gpt2Obstacle(Gpt2 with { Vision = new PrefixVisionConfig() }));
        Assert.Equal("residual.kind", HuggingFaceConfig.Gpt2Obstacle(Gpt2 with { Residual = new PostNormResidualConfig() }));
        Assert.Equal(
            "mlp.kind",
            HuggingFaceConfig.Gpt2Obstacle(Gpt2 with { Mlp = new MixtureMlpConfig { Experts = 2, Active = 1, Expert = Gpt2.Mlp } }));
    }

    [Theory]
    [InlineData("llama/tied", "model_type", "\"bloom\"")]
    [InlineData("llama/tied", "model_type", "7")]
    [InlineData("llama/tied", "rope_scaling", """{"type":"su","factor":2}""", "rope_type")]
    [InlineData("llama/tied", "rope_scaling", """{"type":"linear"}""", "factor")]
    [InlineData("llama/tied", "rope_scaling", """{"type":"linear","factor":0.5}""", "factor")]
    [InlineData("llama/tied", "rope_scaling", """{"rope_type":"linear","factor":2,"beta_fast":32}""", "beta_fast")]
    [InlineData(
        "llama/tied",
        "rope_scaling",
        """{"rope_type":"dynamic","factor":2,"original_max_position_embeddings":20}""",
        "original_max_position_embeddings")]
    [InlineData("llama/tied", "rope_scaling", """{"rope_type":"dynamic","factor":1e9}""", "factor")]
    [InlineData("llama/tied", "rope_scaling", """{"rope_type":"yarn","factor":4,"attention_factor":1}""", "attention_factor")]
    [InlineData("llama/tied", "rope_scaling", """{"rope_type":"yarn","factor":4,"truncate":false}""", "truncate")]
    [InlineData("llama/tied", "rope_scaling", """{"rope_type":"yarn","factor":4,"mscale":1}""", "mscale")]
    [InlineData("llama/tied", "rope_scaling", """{"rope_type":"yarn","factor":4,"beta_fast":0.5}""", "beta_fast")]
    [InlineData(
        "llama/tied",
        "rope_scaling",
        """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4}""",
        "original_max_position_embeddings")]
    [InlineData("llama/tied", "rope_parameters", """{"rope_type":"longrope"}""", "rope_type")]
    [InlineData("llama/tied", "rope_parameters", """{"rope_type":"default","partial_rotary_factor":0.5}""", "partial_rotary_factor")]
    [InlineData("llama/tied", "hidden_act", "\"gelu\"")]
    [InlineData("llama/tied", "hidden_size", "-48")]
    [InlineData("llama/tied", "hidden_size", "1e9")]
    [InlineData("llama/tied", "hidden_size", "99999999999999999999")]
    [InlineData("llama/tied", "hidden_size", "null")]
    [InlineData("llama/tied", "vocab_size", "2147483647")]
    [InlineData("llama/tied", "num_hidden_layers", "1000000")]
    [InlineData("llama/tied", "num_key_value_heads", "0")]
    [InlineData("llama/tied", "rms_norm_eps", "-1")]
    [InlineData("llama/tied", "rope_theta", "\"10000\"")]
    [InlineData("llama/tied", "attention_bias", "1")]
    [InlineData("llama/tied", "quantization_config", "{}")]
    [InlineData("llama/tied", "partial_rotary_factor", "0.5")]
    [InlineData("llama/tied", "sliding_window", "16")]
    [InlineData("llama/tied", "layer_types", """["full_attention", "sliding_attention", "full_attention"]""")]
    [InlineData("llama/tied", "layer_types", "\"full_attention\"")]
    [InlineData("llama/tied", "attn_logit_softcapping", "50.0")]
    [InlineData("llama/tied", "final_logit_softcapping", "30.0")]
    [InlineData("llama/tied", "query_pre_attn_scalar", "256")]
    [InlineData("llama/tied", "embedding_multiplier", "12.0")]
    [InlineData("llama/tied", "logits_scaling", "8.0")]
    [InlineData("llama/tied", "attention_multiplier", "0.01")]
    [InlineData("llama/tied", "use_qk_norm", "true")]
    [InlineData("llama/tied", "clip_qkv", "8")]
    [InlineData("llama/tied", "num_local_experts", "8")]
    [InlineData("llama/tied", "auto_map", """{"AutoModel": "x.X"}""")]
    [InlineData("nanogpt/bias", "scale_attn_by_inverse_layer_idx", "true")]
    [InlineData("nanogpt/bias", "pruned_heads", """{"0": [1]}""")]
    [InlineData("nanogpt/bias", "is_encoder_decoder", "true")]
    [InlineData("nanogpt/bias", "activation_function", "\"swish\"")]
    [InlineData("nanogpt/bias", "scale_attn_weights", "false")]
    [InlineData("nanogpt/bias", "add_cross_attention", "true")]
    [InlineData("nanogpt/bias", "embd_pdrop", "0.3")]
    [InlineData("nanogpt/bias", "resid_pdrop", "1.5")]
    public void What_cannot_be_expressed_or_is_forged_is_refused_by_name(string golden, string key, string value, string? part = null)
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden(golden)))!.AsObject();
        config[key] = JsonNode.Parse(value);
        var message = Assert.Throws<InputException>(() => Read(config)).Message;
        Assert.StartsWith(path, message);
        Assert.Contains(part is null ? key : $"{key}: {part}", message);
    }

    // Names, training, and how others compute the same function.
    [Theory]
    [InlineData("llama/tied", "use_cache", "false")]
    [InlineData("llama/tied", "pretraining_tp", "2")]
    [InlineData("llama/tied", "torch_dtype", "\"bfloat16\"")]
    [InlineData("llama/tied", "initializer_range", "0.1")]
    [InlineData("llama/tied", "architectures", """["LlamaModel"]""")]
    [InlineData("llama/tied", "bos_token_id", "5")]
    [InlineData("llama/tied", "eos_token_id", "5")]
    [InlineData("llama/tied", "pad_token_id", "5")]
    [InlineData("llama/tied", "hidden_act", "\"swish\"")]
    [InlineData("llama/tied", "logit_scale", "1.0")]
    [InlineData("llama/tied", "layer_types", """["full_attention", "full_attention", "full_attention"]""")]
    [InlineData("nanogpt/bias", "reorder_and_upcast_attn", "true")]
    [InlineData("nanogpt/bias", "summary_type", "\"mean\"")]
    public void What_does_not_change_the_model_is_read_over(string golden, string key, string value)
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden(golden)))!.AsObject();
        var before = Read(config);
        config[key] = JsonNode.Parse(value);
        Assert.Equal(before, Read(config));
    }

    // Each field with another value than the golden's, which none may pass over.
    [Theory]
    [InlineData("llama/tied", "hidden_size", "60")]
    [InlineData("llama/tied", "intermediate_size", "64")]
    [InlineData("llama/tied", "num_hidden_layers", "2")]
    [InlineData("llama/tied", "num_attention_heads", "12")]
    [InlineData("llama/tied", "num_key_value_heads", "3")]
    [InlineData("llama/tied", "head_dim", "16")]
    [InlineData("llama/tied", "vocab_size", "7")]
    [InlineData("llama/tied", "max_position_embeddings", "7")]
    [InlineData("llama/tied", "rms_norm_eps", "0.1")]
    [InlineData("llama/tied", "rope_theta", "7.0")]
    [InlineData("llama/tied", "rope_scaling", """{"type":"linear","factor":2.5}""")]
    [InlineData("llama/tied", "attention_bias", "true")]
    [InlineData("llama/tied", "attention_dropout", "0.5")]
    [InlineData("llama/tied", "mlp_bias", "true")]
    [InlineData("llama/tied", "tie_word_embeddings", "false")]
    [InlineData("nanogpt/bias", "n_embd", "64")]
    [InlineData("nanogpt/bias", "n_head", "2")]
    [InlineData("nanogpt/bias", "n_layer", "1")]
    [InlineData("nanogpt/bias", "n_positions", "7")]
    [InlineData("nanogpt/bias", "n_inner", "64")]
    [InlineData("nanogpt/bias", "vocab_size", "7")]
    [InlineData("nanogpt/bias", "activation_function", "\"relu\"")]
    [InlineData("nanogpt/bias", "layer_norm_epsilon", "0.1")]
    [InlineData("nanogpt/bias", "bias", "false")]
    [InlineData("nanogpt/bias", "attn_pdrop", "0.5")]
    [InlineData("nanogpt/bias", "tie_word_embeddings", "false")]
    public void A_field_with_another_value_is_another_model(string golden, string key, string value)
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden(golden)))!.AsObject();
        var before = Read(config);
        config[key] = JsonNode.Parse(value);
        Assert.NotEqual(before, Read(config));
    }

    [Fact]
    public void Heads_that_do_not_divide_are_refused()
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden("nanogpt/bias")))!.AsObject();
        config["n_head"] = 5;
        Assert.Contains("do not divide width 32", Assert.Throws<InputException>(() => Read(config)).Message);
    }

    [Fact]
    public void Mistral_is_read_only_without_its_window()
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden("llama/tied")))!.AsObject();
        config["model_type"] = "mistral";
        Assert.Contains("sliding_window", Assert.Throws<InputException>(() => Read(config)).Message);
        config["sliding_window"] = 4096;
        Assert.Contains("sliding_window", Assert.Throws<InputException>(() => Read(config)).Message);
        config["sliding_window"] = null;
        Assert.Equal(Llama, Read(config));
    }

    [Fact]
    public void The_newer_form_of_the_rotary_fields_is_read()
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden("llama/tied")))!.AsObject();
        config.Remove("rope_theta");
        config["rope_parameters"] = JsonNode.Parse("""{"rope_type":"default","rope_theta":500000}""");
        Assert.Equal(new RotaryPositionConfig { Theta = 500_000 }, Read(config).Position);
    }

    public static TheoryData<string, RotaryPositionConfig> Rotations() => new()
    {
        { """{"type":"linear","factor":2.5}""", new() { Scaling = new LinearScalingConfig { Factor = 2.5 } } },
        { """{"rope_type":"yarn","factor":4.0}""", new() { Scaling = new YarnScalingConfig { Factor = 4, OriginalLength = 40 } } },
        {
            """{"rope_type":"yarn","factor":4,"original_max_position_embeddings":10,"beta_fast":16,"beta_slow":2,""" +
            "\"attention_factor\":1.138629436}",
            new() { Scaling = new YarnScalingConfig { Factor = 4, OriginalLength = 10, BetaFast = 16, BetaSlow = 2 } }
        },
        {
            """{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}""",
            new() { Scaling = new Llama3ScalingConfig { Factor = 8, OriginalLength = 8192 } }
        },
    };

    [Theory, MemberData(nameof(Rotations))]
    public void Rotary_scalings_are_read_and_written_back(string scaling, RotaryPositionConfig position)
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden("llama/tied")))!.AsObject();
        config["rope_scaling"] = JsonNode.Parse(scaling);
        var model = Llama with { Position = position };
        Assert.Equal(model, Read(config));
        Assert.Equal(model, Read(HuggingFaceConfig.ToLlama(model)));
    }

    [Fact]
    public void Dynamic_scaling_reaches_as_far_as_its_factor_promises()
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden("llama/tied")))!.AsObject();
        config["rope_scaling"] = JsonNode.Parse("""{"rope_type":"dynamic","factor":2.0}""");
        var model = Llama with
        {
            ContextLength = 80,
            Position = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 2, OriginalLength = 40 } }
        };
        Assert.Equal(model, Read(config));
        Assert.Equal(40, (int)HuggingFaceConfig.ToLlama(model)["max_position_embeddings"]!);
        Assert.Equal("context_length", HuggingFaceConfig.LlamaObstacle(model with { ContextLength = 60 }));
    }

    [Fact]
    public void Scalings_in_both_forms_of_the_rotary_fields_are_refused()
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden("llama/tied")))!.AsObject();
        config["rope_scaling"] = JsonNode.Parse("""{"rope_type":"linear","factor":2}""");
        config["rope_parameters"] = JsonNode.Parse("""{"rope_type":"linear","factor":2,"rope_theta":500000}""");
        Assert.Contains("rope_scaling: found beside rope_parameters", Assert.Throws<InputException>(() => Read(config)).Message);
        config["rope_scaling"] = null;
        Assert.Equal(new RotaryPositionConfig { Theta = 500_000, Scaling = new LinearScalingConfig { Factor = 2 } }, Read(config).Position);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"model_type":"llama","model_type":"gpt2"}""")]
    public void A_file_that_is_no_object_is_refused(string text)
    {
        File.WriteAllText(path, text);
        Assert.Throws<InputException>(() => HuggingFaceConfig.Read(path));
    }

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "Goldens", name, "config.json");

    private ModelConfig Read(JsonObject config)
    {
        File.WriteAllText(path, config.ToJsonString());
        return HuggingFaceConfig.Read(path);
    }
}
