using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Formats;

/// <summary>
/// The rotary fields of a Hugging Face config.json: <c>rope_theta</c> and <c>rope_scaling</c>, or both in <c>rope_parameters</c> (version
/// 5). There dynamic scaling takes <c>max_position_embeddings</c> for the original length, and has no greatest length; here that is the
/// original length times the factor.
/// </summary>
internal static class HuggingFaceRotary
{
    private const string OriginalLength = "original_max_position_embeddings";

    public static (RotaryPositionConfig Position, int ContextLength) Read(JsonFields fields)
    {
        if (fields.Has("rope_scaling") && fields.Has("rope_parameters"))
            throw fields.Bad("rope_scaling", "found beside rope_parameters, expected one of the two");
        var rotary = fields.Object("rope_parameters") ?? fields.Object("rope_scaling") ?? new JsonFields([], fields.Origin);
        foreach (var source in (JsonFields[])[fields, rotary])
            if (source.Positive("partial_rotary_factor", 1) is not 1) throw source.Bad("partial_rotary_factor", "expected 1");

        var length = fields.Size("max_position_embeddings", HuggingFaceConfig.LengthLimit, 2048);
        var scaling = Scaling(rotary, length);
        var position = new RotaryPositionConfig
        {
            Theta = rotary.Positive("rope_theta", fields.Positive("rope_theta", 10_000)),
            Scaling = scaling
        };
        if (position.Problems().Concat(scaling?.Problems() ?? []).FirstOrDefault() is { } problem)
            throw rotary.Bad(problem.Path, problem.Message);
        if (scaling is not DynamicNtkScalingConfig) return (position, length);
        if (length * scaling.Factor > HuggingFaceConfig.LengthLimit)
            throw rotary.Bad("factor", $"found {scaling.Factor}, too much for texts of {length} tokens");
        return (position, (int)(length * scaling.Factor));
    }

    /// <summary>The value of <c>max_position_embeddings</c>.</summary>
    public static int WriteLength(ModelConfig config, RotaryPositionConfig position) =>
        position.Scaling is DynamicNtkScalingConfig dynamic ? dynamic.OriginalLength : config.ContextLength;

    /// <summary>The value of <c>rope_scaling</c>; null also for a scaling that has no name there, which then is not read back.</summary>
    public static JsonObject? WriteScaling(RotaryPositionConfig position) => position.Scaling switch
    {
        LinearScalingConfig linear => new() { ["rope_type"] = "linear", ["factor"] = linear.Factor },
        DynamicNtkScalingConfig dynamic => new() { ["rope_type"] = "dynamic", ["factor"] = dynamic.Factor },
        YarnScalingConfig yarn => new()
        {
            ["rope_type"] = "yarn",
            ["factor"] = yarn.Factor,
            [OriginalLength] = yarn.OriginalLength,
            ["beta_fast"] = yarn.BetaFast,
            ["beta_slow"] = yarn.BetaSlow,
        },
        Llama3ScalingConfig llama => new()
        {
            ["rope_type"] = "llama3",
            ["factor"] = llama.Factor,
            [OriginalLength] = llama.OriginalLength,
            ["low_freq_factor"] = llama.LowFrequencyFactor,
            ["high_freq_factor"] = llama.HighFrequencyFactor,
        },
        _ => null,
    };

    private static RotaryScalingConfig? Scaling(JsonFields rotary, int length)
    {
        var type = rotary.Text("rope_type", rotary.Text("type", "default"));
        string[] known = type switch
        {
            "default" => [],
            "linear" => ["factor"],
            "dynamic" => ["factor", OriginalLength],
            "yarn" => ["factor", OriginalLength, "beta_fast", "beta_slow", "attention_factor", "truncate"],
            "llama3" => ["factor", OriginalLength, "low_freq_factor", "high_freq_factor"],
            _ => throw rotary.Bad("rope_type", $"found {type}, expected default, linear, dynamic, yarn or llama3"),
        };
        foreach (var key in rotary.Keys.Where(rotary.Has).Except([.. known, "rope_type", "type", "rope_theta", "partial_rotary_factor"]))
            throw rotary.Bad(key, $"found {rotary.Node(key)!.ToJsonString()}, which this library cannot express for {type}");
        return type switch
        {
            "linear" => new LinearScalingConfig { Factor = Needed(rotary, "factor") },
            "dynamic" => Dynamic(rotary, length),
            "yarn" => Yarn(rotary, length),
            "llama3" => new Llama3ScalingConfig
            {
                Factor = Needed(rotary, "factor"),
                OriginalLength = rotary.Size(OriginalLength, HuggingFaceConfig.LengthLimit),
                LowFrequencyFactor = Needed(rotary, "low_freq_factor"),
                HighFrequencyFactor = Needed(rotary, "high_freq_factor"),
            },
            _ => null,
        };
    }

    private static DynamicNtkScalingConfig Dynamic(JsonFields rotary, int length)
    {
        if (rotary.Size(OriginalLength, HuggingFaceConfig.LengthLimit, length) is var original && original != length)
            throw rotary.Bad(OriginalLength, $"found {original}, expected max_position_embeddings {length}, by which dynamic scaling goes");
        return new() { Factor = Needed(rotary, "factor"), OriginalLength = length };
    }

    private static YarnScalingConfig Yarn(JsonFields rotary, int length)
    {
        rotary.Expect("truncate", true);
        var yarn = new YarnScalingConfig
        {
            Factor = Needed(rotary, "factor"),
            OriginalLength = rotary.Size(OriginalLength, HuggingFaceConfig.LengthLimit, length),
            BetaFast = rotary.Positive("beta_fast", 32),
            BetaSlow = rotary.Positive("beta_slow", 1),
        };
        if (Math.Abs(rotary.Positive("attention_factor", yarn.Amplitude) - yarn.Amplitude) > 1e-6)
            throw rotary.Bad(
                "attention_factor", $"found {rotary.Node("attention_factor")}, expected {yarn.Amplitude:g9}, which is 0.1 ln(factor) + 1");
        return yarn;
    }

    private static double Needed(JsonFields fields, string key) =>
        fields.Has(key) ? fields.Positive(key, absent: 0) : throw fields.Bad(key, "missing, expected a number above 0");
}
