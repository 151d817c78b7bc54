using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Formats;

/// <summary>
/// The fields of a Hugging Face config.json for Llama, for Mistral without its window, and for Qwen 3 without its window, which is a Llama
/// with norms of queries and keys.
/// </summary>
internal static class HuggingFaceLlama
{
    public static ModelConfig Read(JsonFields fields)
    {
        var (mistral, qwen) = (fields.Text("model_type") == "mistral", fields.Text("model_type") == "qwen3");
        if (mistral && (!fields.Mentions("sliding_window") || fields.Has("sliding_window")))
            throw fields.Bad("sliding_window", "this library reads Mistral only where it is null; absent, it means 4096");
        if (fields.Text("hidden_act", "silu") is not ("silu" or "swish") and var activation)
            throw fields.Bad("hidden_act", $"found {activation}, expected silu");
        var (position, length) = HuggingFaceRotary.Read(fields);
        var epsilon = fields.Positive("rms_norm_eps", 1e-6);
        const double Here = SoftmaxAttentionConfig.QueryKeyNormEpsilon;
        if (qwen && epsilon != Here)
            throw fields.Bad("rms_norm_eps", $"found {epsilon:g}, expected {Here:g}, which the norms of queries and keys have here");

        var width = fields.Size("hidden_size", HuggingFaceConfig.WidthLimit);
        var heads = fields.Size("num_attention_heads", HuggingFaceConfig.WidthLimit);
        var headWidth = fields.Size("head_dim", HuggingFaceConfig.WidthLimit, qwen ? 128 : Math.Max(width / heads, 1));
        return new ModelConfig
        {
            Width = width,
            ContextLength = length,
            Layers = fields.Size("num_hidden_layers", HuggingFaceConfig.LayerLimit),
            VocabularySize = fields.Size("vocab_size", HuggingFaceConfig.LengthLimit),
            Attention = new SoftmaxAttentionConfig
            {
                Heads = heads,
                KvHeads = fields.Size("num_key_value_heads", heads, mistral || qwen ? null : heads),
                HeadWidth = headWidth * heads == width ? null : headWidth,
                Bias = fields.Flag("attention_bias", false),
                Dropout = fields.Fraction("attention_dropout", 0),
                QueryKeyNorm = qwen,
            },
            Position = position,
            Mlp = new SwiGluMlpConfig
            {
                Hidden = fields.Size("intermediate_size", HuggingFaceConfig.WidthLimit),
                Bias = !qwen && fields.Flag("mlp_bias", false)
            },
            Norm = new RmsNormConfig { Epsilon = epsilon },
            TiedHead = fields.Flag("tie_word_embeddings", false),
        };
    }

    /// <returns>The nearest model that Llama's fields can express, or null if a component is of another kind.</returns>
    public static JsonObject? Write(ModelConfig config) =>
        config is
        {
            Attention: SoftmaxAttentionConfig attention, Position: RotaryPositionConfig position, Mlp: not NoMlpConfig,
            VocabularySize: { } vocabulary,
        }
            ? new JsonObject
            {
                ["architectures"] = new JsonArray(attention.QueryKeyNorm ? "Qwen3ForCausalLM" : "LlamaForCausalLM"),
                ["model_type"] = attention.QueryKeyNorm ? "qwen3" : "llama",
                ["vocab_size"] = vocabulary,
                ["hidden_size"] = config.Width,
                ["intermediate_size"] = config.Mlp.HiddenAt(config.Width),
                ["num_hidden_layers"] = config.Layers.Blocks,
                ["num_attention_heads"] = attention.Heads,
                ["num_key_value_heads"] = attention.KvHeads ?? attention.Heads,
                ["head_dim"] = attention.HeadWidth ?? config.Width / attention.Heads,
                ["max_position_embeddings"] = HuggingFaceRotary.WriteLength(config, position),
                ["hidden_act"] = "silu",
                ["rms_norm_eps"] = config.Norm.Epsilon,
                ["rope_theta"] = position.Theta,
                ["rope_scaling"] = HuggingFaceRotary.WriteScaling(position),
                ["attention_bias"] = attention.Bias,
                ["attention_dropout"] = attention.Dropout,
                ["mlp_bias"] = config.Mlp.Bias,
                ["tie_word_embeddings"] = config.TiedHead,
            }
            : null;
}
