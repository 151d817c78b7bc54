using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Formats;

/// <summary>
/// Hugging Face's config.json and our <see cref="ModelConfig"/>: GPT-2 (with nanoGPT's <c>bias</c>), Llama, and Mistral and
/// Qwen 3 without their windows.
/// What the format cannot express is refused by name, never dropped; only initialization and the dropout of training may get lost.
/// </summary>
public static class HuggingFaceConfig
{
    // Above any published model, and low enough that sizes from a forged file cannot overflow.
    internal const int WidthLimit = 1 << 18;
    internal const int LengthLimit = 1 << 28;
    internal const int LayerLimit = 1 << 12;

    // Fields of other families that change what the same tensors compute, with the values that change nothing. Any other value is refused,
    // whatever model_type says.
    private static readonly (string Key, string[] Nothing)[] OtherModels =
    [
        ("auto_map", []), ("sliding_window", []), ("attention_chunk_size", []), ("layer_types", []),
        ("no_rope_layers", []), ("no_rope_layer_interval", ["0"]), ("attn_logit_softcapping", []), ("final_logit_softcapping", []),
        ("query_pre_attn_scalar", []), ("attention_multiplier", []), ("embedding_multiplier", ["1"]), ("residual_multiplier", ["1"]),
        ("logits_scaling", ["1"]), ("logit_scale", ["1"]), ("scale_emb", ["1"]), ("scale_depth", []), ("dim_model_base", []),
        ("clip_qkv", []), ("qk_norm", ["false"]), ("use_qk_norm", ["false"]), ("qk_layernorm", ["false"]),
        ("use_parallel_residual", ["false"]), ("parallel_attn", ["false"]), ("alibi", ["false"]), ("rotary_pct", ["1"]),
        ("num_local_experts", ["0", "1"]), ("num_experts", ["0", "1"]), ("n_routed_experts", ["0"]), ("is_encoder_decoder", ["false"]),
        ("pruned_heads", ["{}"]),
    ];

    /// <summary>The architecture of a config.json.</summary>
    /// <exception cref="InputException">The file is not valid, or describes a model that this library cannot express.</exception>
    public static ModelConfig Read(string path) => Read(JsonFields.Open(path));

    /// <summary>
    /// Why a Hugging Face Llama, or a Qwen 3 where queries and keys have norms, cannot be this model: the first key that differs; null
    /// where it can.
    /// </summary>
    public static string? LlamaObstacle(ModelConfig config) =>
        Obstacle(config, HuggingFaceLlama.Write(config), config.Position is RotaryPositionConfig);

    /// <summary>Why a Hugging Face GPT-2 cannot be this model: the first key that differs; null where it can.</summary>
    public static string? Gpt2Obstacle(ModelConfig config) =>
        // nanoGPT's models without biases are read, but Hugging Face's GPT-2 always has them.
        config.Attention is SoftmaxAttentionConfig { Bias: false } ? "attention.bias"
            : Obstacle(config, HuggingFaceGpt2.Write(config), config.Position is LearnedPositionConfig);

    /// <summary>The config.json of a Hugging Face Llama or Qwen 3.</summary>
    /// <exception cref="InputException">No Llama is this model.</exception>
    public static JsonObject ToLlama(ModelConfig config) =>
        LlamaObstacle(config) is { } key ? throw Inexpressible(config, key, "Hugging Face's Llama or Qwen 3")
            : HuggingFaceLlama.Write(config)!;

    /// <summary>The config.json of a Hugging Face GPT-2.</summary>
    /// <exception cref="InputException">No GPT-2 is this model.</exception>
    public static JsonObject ToGpt2(ModelConfig config) =>
        Gpt2Obstacle(config) is { } key ? throw Inexpressible(config, key, "Hugging Face's GPT-2") : HuggingFaceGpt2.Write(config)!;

    internal static ModelConfig Read(JsonFields fields)
    {
        if (fields.Has("quantization_config"))
            throw fields.Bad("quantization_config", "quantised weights cannot be read; take the model in float16, bfloat16 or float32");
        foreach (var (key, nothing) in OtherModels)
            if (fields.Has(key) && !Array.Exists(nothing, value => JsonNode.DeepEquals(fields.Node(key), JsonNode.Parse(value)))
                && !(key is "sliding_window" && !fields.Flag("use_sliding_window", absent: true))
                && !(key is "layer_types" && fields.Node(key) is JsonArray types
                    && types.All(type => JsonNode.DeepEquals(type, "full_attention"))))
            {
                throw fields.Bad(key, $"found {fields.Node(key)!.ToJsonString()}, which this library cannot express");
            }
        var config = fields.Text("model_type") switch
        {
            "gpt2" => HuggingFaceGpt2.Read(fields),
            "llama" or "mistral" or "qwen3" => HuggingFaceLlama.Read(fields),
            var other => throw fields.Bad("model_type", $"found {other}, expected gpt2, llama, mistral or qwen3"),
        };
        var problems = config.Problems().ToList();
        return problems.Count == 0 ? config : throw new InputException($"{fields.Origin}: {string.Join("\n  ", problems)}");
    }

    // The model written and read back must be the same, so that an option that the fields cannot express
    // shows as a difference, also one added later.
    private static string? Obstacle(ModelConfig config, JsonObject? fields, bool positionFits)
    {
        if (config.VocabularySize is null) return "vocabulary_size";
        if (config.Layers.Blocks == 0) return "layers";
        if (fields is null)
            return config.Mixers is not null ? "mixers"
                : config.Attention is not SoftmaxAttentionConfig ? "attention.kind"
                : positionFits ? "mlp.kind"
                : "position.kind";
        if (config.Initialization is MupInitializationConfig) return "initialization";
        try
        {
            var said = Read(new JsonFields(JsonNode.Parse(fields.ToJsonString())!.AsObject(), CheckpointConfig.FileName));
            return Difference("", ModelJson.ToJson(Canonical(config)), ModelJson.ToJson(Canonical(said)));
        }
        catch (InputException refused)
        {
            return KeyOf(refused.Message[$"{CheckpointConfig.FileName}: ".Length..].Split(": ")[0]);
        }
    }

    // The key of a model whose value stands in a field that is refused: a size beyond the limits, a scaling out of bounds.
    private static string KeyOf(string field) => field switch
    {
        "rms_norm_eps" or "layer_norm_epsilon" => "norm.epsilon",
        "hidden_size" or "n_embd" => "width",
        "max_position_embeddings" or "n_positions" => "context_length",
        "num_hidden_layers" or "n_layer" => "layers",
        "vocab_size" => "vocabulary_size",
        "intermediate_size" or "n_inner" => "mlp",
        "rope_theta" or "rope_scaling" => "position",
        "num_attention_heads" or "num_key_value_heads" or "head_dim" or "n_head" => "attention",
        _ => field,
    };

    // The first key at which two configurations differ, null where none is.
    private static string? Difference(string path, JsonNode? wanted, JsonNode? said)
    {
        if (JsonNode.DeepEquals(wanted, said)) return null;
        if (wanted is not JsonObject keys || said is not JsonObject other) return path;
        return keys.Select(pair => Difference(path.Length == 0 ? pair.Key : $"{path}.{pair.Key}", pair.Value, other[pair.Key]))
            .FirstOrDefault(found => found is not null) ?? path;
    }

    // The model with its defaults written out and without what concerns only training.
    private static ModelConfig Canonical(ModelConfig config) => config with
    {
        Attention = config.Attention is SoftmaxAttentionConfig attention
            ? attention with
            {
                KvHeads = attention.KvHeads ?? attention.Heads,
                HeadWidth = attention.HeadWidth ?? config.Width / attention.Heads,
                Dropout = 0
            }
            : config.Attention,
        Mlp = config.Mlp with { Hidden = config.Mlp.HiddenAt(config.Width) },
        Initialization = new Gpt2InitializationConfig(),
        Dropout = 0,
    };

    /// <summary>The error that a format has no place for what a key of the model says.</summary>
    /// <param name="config">The model.</param>
    /// <param name="key">The key within the model.</param>
    /// <param name="format">The format's name.</param>
    internal static InputException Inexpressible(ModelConfig config, string key, string format)
    {
        var value = key.Split('.').Aggregate((JsonNode?)ModelJson.ToJson(config), (node, name) => (node as JsonObject)?[name]);
        var what = value is JsonValue ? $"found {value}, which {format} cannot express" : $"{format} cannot express it";
        return new($"model.{key}: {what}. Save the model in this library's own format, or change it.");
    }
}
