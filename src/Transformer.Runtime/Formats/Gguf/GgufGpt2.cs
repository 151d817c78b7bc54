using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>The metadata of GGUF's architecture gpt2: learned positions, layer norms, biases everywhere, the tanh form of GELU.</summary>
internal static class GgufGpt2
{
    public const string Name = "gpt2";

    public static ModelConfig Read(GgufFields fields, bool tiedHead)
    {
        fields.ExpectOnly("gpt2.",
            "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
            "attention.head_count_kv", "attention.layer_norm_epsilon");
        var heads = fields.Size("gpt2.attention.head_count", HuggingFaceConfig.WidthLimit);
        if (fields.Size("gpt2.attention.head_count_kv", HuggingFaceConfig.WidthLimit, heads) is var keys && keys != heads)
            throw fields.Bad("gpt2.attention.head_count_kv", $"found {keys}, expected {heads}, as many as heads");
        return new ModelConfig
        {
            Width = fields.Size("gpt2.embedding_length", HuggingFaceConfig.WidthLimit),
            ContextLength = fields.Size("gpt2.context_length", HuggingFaceConfig.LengthLimit),
            Layers = fields.Size("gpt2.block_count", HuggingFaceConfig.LayerLimit),
            Attention = new SoftmaxAttentionConfig { Heads = heads, Bias = true },
            Position = new LearnedPositionConfig(),
            Mlp = new GeluTanhMlpConfig { Hidden = fields.Size("gpt2.feed_forward_length", HuggingFaceConfig.WidthLimit), Bias = true },
            Norm = new LayerNormConfig { Epsilon = GgufLlama.Single(fields.Positive("gpt2.attention.layer_norm_epsilon")) },
            TiedHead = tiedHead,
        };
    }

    public static IEnumerable<KeyValuePair<string, object>> Write(ModelConfig model)
    {
        yield return new("gpt2.context_length", (uint)model.ContextLength);
        yield return new("gpt2.embedding_length", (uint)model.Width);
        yield return new("gpt2.block_count", (uint)model.Layers.Blocks);
        yield return new("gpt2.feed_forward_length", (uint)model.Mlp.HiddenAt(model.Width));
        yield return new("gpt2.attention.head_count", (uint)((SoftmaxAttentionConfig)model.Attention!).Heads);
        yield return new("gpt2.attention.layer_norm_epsilon", (float)model.Norm.Epsilon);
    }
}
