using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>The metadata of GGUF's architecture llama.</summary>
internal static class GgufLlama
{
    public const string Name = "llama";

    private const string Scaling = "llama.rope.scaling.";

    public static ModelConfig Read(GgufFields fields, bool tiedHead, bool attentionBias, bool mlpBias)
    {
        fields.ExpectOnly("llama.",
            "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
            "attention.head_count_kv",
            "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon", "rope.dimension_count", "rope.freq_base",
            "rope.scaling.type",
            "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned", "rope.scaling.yarn_beta_fast",
            "rope.scaling.yarn_beta_slow");
        var width = fields.Size("llama.embedding_length", HuggingFaceConfig.WidthLimit);
        var heads = fields.Size("llama.attention.head_count", HuggingFaceConfig.WidthLimit);
        var headWidth = fields.Size("llama.attention.key_length", HuggingFaceConfig.WidthLimit, Math.Max(width / heads, 1));
        foreach (var key in (string[])["llama.attention.value_length", "llama.rope.dimension_count"])
            if (fields.Size(key, HuggingFaceConfig.WidthLimit, headWidth) is var found && found != headWidth)
                throw fields.Bad(key, $"found {found}, expected {headWidth}, the width of a head");
        return new ModelConfig
        {
            Width = width,
            ContextLength = fields.Size("llama.context_length", HuggingFaceConfig.LengthLimit),
            Layers = fields.Size("llama.block_count", HuggingFaceConfig.LayerLimit),
            Attention = new SoftmaxAttentionConfig
            {
                Heads = heads,
                KvHeads = fields.Size("llama.attention.head_count_kv", heads, heads),
                HeadWidth = headWidth * heads == width ? null : headWidth,
                Bias = attentionBias,
            },
            Position = new RotaryPositionConfig { Theta = fields.Positive("llama.rope.freq_base", 10_000), Scaling = ReadScaling(fields) },
            Mlp = new SwiGluMlpConfig { Hidden = fields.Size("llama.feed_forward_length", HuggingFaceConfig.WidthLimit), Bias = mlpBias },
            Norm = new RmsNormConfig { Epsilon = Single(fields.Positive("llama.attention.layer_norm_rms_epsilon")) },
            TiedHead = tiedHead,
        };
    }

    public static IEnumerable<KeyValuePair<string, object>> Write(ModelConfig model)
    {
        var (attention, rotary) = ((SoftmaxAttentionConfig)model.Attention!, (RotaryPositionConfig)model.Position);
        var headWidth = attention.HeadWidthAt(model.Width);
        yield return new("llama.vocab_size", (uint)model.VocabularySize!.Value);
        yield return new("llama.context_length", (uint)model.ContextLength);
        yield return new("llama.embedding_length", (uint)model.Width);
        yield return new("llama.block_count", (uint)model.Layers.Blocks);
        yield return new("llama.feed_forward_length", (uint)model.Mlp.HiddenAt(model.Width));
        yield return new("llama.attention.head_count", (uint)attention.Heads);
        yield return new("llama.attention.head_count_kv", (uint)(attention.KvHeads ?? attention.Heads));
        yield return new("llama.attention.key_length", (uint)headWidth);
        yield return new("llama.attention.value_length", (uint)headWidth);
        yield return new("llama.attention.layer_norm_rms_epsilon", (float)model.Norm.Epsilon);
        yield return new("llama.rope.dimension_count", (uint)headWidth);
        yield return new("llama.rope.freq_base", (float)rotary.Theta);
        foreach (var field in WriteScaling(rotary.Scaling)) yield return field;
    }

    /// <summary>A number that went through 32 bits, as people write it: 1e-5 and not 9.99999974737875E-06.</summary>
    public static double Single(double value) => double.Parse($"{(float)value}");

    private static RotaryScalingConfig? ReadScaling(GgufFields fields)
    {
        switch (fields.Text($"{Scaling}type", "none"))
        {
            case "none":
                if (fields.Has($"{Scaling}factor")) throw fields.Bad($"{Scaling}factor", $"found without {Scaling}type");
                return null;
            case "linear":
                return new LinearScalingConfig { Factor = Single(fields.Positive($"{Scaling}factor")) };
            case "yarn":
                return new YarnScalingConfig
                {
                    Factor = Single(fields.Positive($"{Scaling}factor")),
                    OriginalLength = fields.Size($"{Scaling}original_context_length", HuggingFaceConfig.LengthLimit),
                    BetaFast = Single(fields.Positive($"{Scaling}yarn_beta_fast", 32)),
                    BetaSlow = Single(fields.Positive($"{Scaling}yarn_beta_slow", 1)),
                };
            case var other:
                throw fields.Bad($"{Scaling}type", $"found {other}, expected none, linear or yarn");
        }
    }

    private static IEnumerable<KeyValuePair<string, object>> WriteScaling(RotaryScalingConfig? scaling)
    {
        if (scaling is null) yield break;
        yield return new($"{Scaling}type", scaling is YarnScalingConfig ? "yarn" : "linear");
        yield return new($"{Scaling}factor", (float)scaling.Factor);
        if (scaling is not YarnScalingConfig yarn) yield break;
        yield return new($"{Scaling}original_context_length", (uint)yarn.OriginalLength);
        yield return new($"{Scaling}yarn_beta_fast", (float)yarn.BetaFast);
        yield return new($"{Scaling}yarn_beta_slow", (float)yarn.BetaSlow);
    }
}
