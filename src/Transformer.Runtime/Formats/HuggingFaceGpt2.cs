using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Formats;

/// <summary>The fields of a Hugging Face config.json for GPT-2, with nanoGPT's <c>bias</c>.</summary>
internal static class HuggingFaceGpt2
{
    public static ModelConfig Read(JsonFields fields)
    {
        fields.Expect("scale_attn_weights", true);
        fields.Expect("scale_attn_by_inverse_layer_idx", false);
        fields.Expect("add_cross_attention", false);
        var dropout = fields.Fraction("resid_pdrop", 0);
        if (fields.Fraction("embd_pdrop", dropout) != dropout)
            throw fields.Bad("embd_pdrop", $"differs from resid_pdrop {dropout}; this library has one rate for both, so make them equal");

        var width = fields.Size("n_embd", HuggingFaceConfig.WidthLimit);
        var bias = fields.Flag("bias", true);
        return new ModelConfig
        {
            Width = width,
            ContextLength = fields.Size(fields.Has("n_positions") ? "n_positions" : "n_ctx", HuggingFaceConfig.LengthLimit),
            Layers = fields.Size("n_layer", HuggingFaceConfig.LayerLimit),
            VocabularySize = fields.Size("vocab_size", HuggingFaceConfig.LengthLimit),
            Attention = new SoftmaxAttentionConfig
            {
                Heads = fields.Size("n_head", HuggingFaceConfig.WidthLimit),
                Bias = bias,
                Dropout = fields.Fraction("attn_pdrop", 0),
            },
            Position = new LearnedPositionConfig(),
            Mlp = Mlp(fields) with { Hidden = fields.Size("n_inner", HuggingFaceConfig.WidthLimit, 4 * width), Bias = bias },
            Norm = new LayerNormConfig { Epsilon = fields.Positive("layer_norm_epsilon", 1e-5), Bias = bias },
            Dropout = dropout,
            TiedHead = fields.Flag("tie_word_embeddings", true),
        };
    }

    /// <returns>The nearest model that GPT-2's fields can express, or null if a component is of another kind.</returns>
    public static JsonObject? Write(ModelConfig config) =>
        config is { Attention: SoftmaxAttentionConfig attention, Position: LearnedPositionConfig, VocabularySize: { } vocabulary }
        && Activation(config.Mlp) is { } activation
            ? new JsonObject
            {
                ["architectures"] = new JsonArray("GPT2LMHeadModel"),
                ["model_type"] = "gpt2",
                ["vocab_size"] = vocabulary,
                ["n_positions"] = config.ContextLength,
                ["n_ctx"] = config.ContextLength,
                ["n_embd"] = config.Width,
                ["n_layer"] = config.Layers.Blocks,
                ["n_head"] = attention.Heads,
                ["n_inner"] = config.Mlp.HiddenAt(config.Width),
                ["activation_function"] = activation,
                ["layer_norm_epsilon"] = config.Norm.Epsilon,
                ["bias"] = attention.Bias,
                ["embd_pdrop"] = config.Dropout,
                ["attn_pdrop"] = attention.Dropout,
                ["resid_pdrop"] = config.Dropout,
                ["tie_word_embeddings"] = config.TiedHead,
            }
            : null;

    private static MlpConfig Mlp(JsonFields fields) => fields.Text("activation_function", "gelu_new") switch
    {
        "gelu_new" or "gelu_pytorch_tanh" => new GeluTanhMlpConfig(),
        "gelu" => new GeluMlpConfig(),
        "relu" => new ReluMlpConfig(),
        var other => throw fields.Bad("activation_function", $"found {other}, expected gelu_new, gelu or relu"),
    };

    private static string? Activation(MlpConfig mlp) => mlp switch
    {
        GeluTanhMlpConfig => "gelu_new",
        GeluMlpConfig => "gelu",
        ReluMlpConfig => "relu",
        _ => null,
    };
}
