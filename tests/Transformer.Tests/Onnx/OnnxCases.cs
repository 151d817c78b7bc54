using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Model;
using Transformer.Onnx;
using static TorchSharp.torch;

namespace Transformer.Tests.Onnx;

/// <summary>Models to be exported: <see cref="Graphs"/>, and options that those leave at their defaults.</summary>
internal static class OnnxCases
{
    /// <summary>All of <see cref="Tiny.Models"/> that have a graph.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Graphs { get; } =
        Tiny.Models.Where(model => Tiny.HasGraph(model.Key)).ToDictionary();

    /// <summary>Models whose heads are wide enough for ONNX Runtime's GroupQueryAttention.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> GroupQuery { get; } = new Dictionary<string, ModelConfig>
    {
        ["wide"] = Wide(new() { Heads = 4, KvHeads = 2 }),
        ["wide, one key/value head"] = Wide(new() { Heads = 4, KvHeads = 1, HeadWidth = 32 }),
        ["wide, norms of queries and keys, soft cap"] = Wide(new() { Heads = 4, QueryKeyNorm = true, LogitSoftCap = 5 }),
        ["wide, value_residual"] = Wide(new() { Heads = 4, KvHeads = 2, ValueResidual = true }) with { Layers = 3 },
        ["wide, sliding 1"] = Wide(new() { Heads = 4, KvHeads = 2, Window = Tiny.Windows["sliding 1"] }),
        ["wide, sliding 3"] = Wide(new() { Heads = 4, KvHeads = 2, Window = Tiny.Windows["sliding 3"] }),
        ["wide, rope_linear"] = Scaled(new LinearScalingConfig { Factor = 2.5 }),
        ["wide, rope_ntk"] = Scaled(new NtkScalingConfig { Factor = 4 }),
        ["wide, rope_llama3"] = Scaled(new Llama3ScalingConfig { Factor = 8, OriginalLength = 6 }),
        ["wide, rope_yarn"] = Scaled(new YarnScalingConfig { Factor = 4, OriginalLength = 6, BetaFast = 0.8, BetaSlow = 0.01 }),
        ["wide, turned before"] = Wide(new() { Heads = 4, KvHeads = 2, HeadWidth = 8 }),
        ["wide, none"] = Wide(new() { Heads = 4, KvHeads = 2, HeadWidth = 8 }) with { Position = new NoPositionConfig() },
        ["wide, gpt2"] = Wide(new() { Heads = 4, Bias = true }) with
        {
            Position = new LearnedPositionConfig(),
            Mlp = new GeluTanhMlpConfig { Hidden = 40, Bias = true },
            Norm = new LayerNormConfig(),
        },
        ["wide, layer_without_bias"] = Wide(new() { Heads = 4 }) with { Norm = new LayerNormConfig { Bias = false } },
        ["wide, sandwich, mup"] = Wide(new() { Heads = 4 }) with
        {
            Residual = new SandwichResidualConfig(),
            Initialization = new MupInitializationConfig { BaseWidth = 16, Deviation = 0.3 }
        },
    };

    /// <summary>Models in which some blocks have such attention and others have not.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Mixed { get; } = new Dictionary<string, ModelConfig>
    {
        ["wide hybrid"] = Of(new() { ["local"] = Tiny.Linear["gated_delta"], ["global"] = GroupQuery["wide"].Attention! }),
        ["wide windows"] = Of(new()
        {
            ["local"] = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Window = Tiny.Windows["adaptive"] },
            ["global"] = GroupQuery["wide"].Attention!
        }),
    };

    public static IReadOnlyDictionary<string, ModelConfig> Models { get; } = new Dictionary<string, ModelConfig>(
    [
        .. Graphs,
        .. Tiny.Mlps.Select(mlp => KeyValuePair.Create($"mlp {mlp.Key}", Tiny.Config with { Mlp = mlp.Value })),
        .. Tiny.Norms.Select(norm => KeyValuePair.Create($"norm {norm.Key}", Tiny.Config with { Norm = norm.Value })),
        KeyValuePair.Create("no mlp", Tiny.Config with { Mlp = new NoMlpConfig() }),
        KeyValuePair.Create("gpt2", Tiny.Config with
        {
            Attention = new SoftmaxAttentionConfig { Heads = 4, Bias = true },
            Position = new LearnedPositionConfig(),
            Mlp = new GeluTanhMlpConfig { Hidden = 40, Bias = true },
            Norm = new LayerNormConfig(),
        }),
        KeyValuePair.Create(
            "a head of its own, one key/value head",
            Tiny.Config with { TiedHead = false, Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, HeadWidth = 6 } }),
        KeyValuePair.Create(
            "norms of queries and keys, soft cap",
            Tiny.Config with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, QueryKeyNorm = true, LogitSoftCap = 5 } }),
        KeyValuePair.Create("mup", Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4, Deviation = 0.3 } }),
        KeyValuePair.Create("rope_linear", Rope(new LinearScalingConfig { Factor = 2.5 })),
        KeyValuePair.Create("rope_ntk", Rope(new NtkScalingConfig { Factor = 4 })),
        KeyValuePair.Create("rope_llama3", Rope(new Llama3ScalingConfig { Factor = 8, OriginalLength = 6 })),
        KeyValuePair.Create("rope_dynamic_ntk past its length", Rope(new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 4 })),
        .. GroupQuery,
        .. Mixed,
        KeyValuePair.Create("relative, soft cap", Tiny.Config with
        {
            Position = Tiny.Positions["relative"],
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, LogitSoftCap = 5 }
        }),
    ]);

    public static TransformerModel ModelOf(string kind)
    {
        random.manual_seed(1337);
        if (Tiny.Models.ContainsKey(kind)) return Tiny.Model(kind);
        return new TransformerModel(Models[kind]);
    }

    /// <summary>The logits of all tokens of a text, as libtorch has them, read in one pass or in these: [T, V].</summary>
    public static float[] Expected(TransformerModel model, params int[][] parts)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        using var state = model.NewState(1);
        return [.. parts.SelectMany(
            part => model.forward(tensor(part, ScalarType.Int64).unsqueeze(0), parts.Length == 1 ? null : state).contiguous().data<float>()
                .ToArray())];
    }

    /// <summary>The logits of every token of some rows, each of which gets its tokens in one pass.</summary>
    public static float[] Read(OnnxInferenceModel model, SequenceState state, params int[][] rows)
    {
        model.Read(
            state, [.. Enumerable.Range(0, rows.Length)], [.. rows.Select(row => row.Length)], [.. rows.SelectMany(row => row)], all: true);
        return Logits(model, rows.Sum(row => row.Length));
    }

    /// <summary>The logits of the first outputs of the last call of Read, one behind the other.</summary>
    public static float[] Logits(InferenceModel model, int outputs) =>
        [.. Enumerable.Range(0, outputs).SelectMany(output => model.Logits(output).ToArray())];

    public static int[] Tokens(int count, int seed) =>
        [.. Enumerable.Range(0, count).Select(at => (at * at * 7 + at * seed + seed) % Tiny.Config.VocabularySize!.Value)];

    /// <summary>The greatest difference; not a number where either holds one.</summary>
    public static float Distance(IEnumerable<float> a, IEnumerable<float> b) =>
        a.Zip(b, (x, y) => Math.Abs(x - y)).Aggregate(0f, (greatest, d) => float.IsNaN(d) ? d : Math.Max(greatest, d));

    public static void AssertNear(IReadOnlyList<float> expected, IReadOnlyList<float> found, double tolerance, string what)
    {
        Assert.Equal(expected.Count, found.Count);
        var distance = Distance(expected, found);
        Assert.True(distance <= tolerance, $"{what}: off by {distance:g3}, expected at most {tolerance:g3}");
    }

    private static ModelConfig Wide(SoftmaxAttentionConfig attention) => Tiny.Config with
    {
        Width = 64,
        Attention = attention,
        Initialization = new Gpt2InitializationConfig { Deviation = 0.15 },
    };

    private static ModelConfig Scaled(RotaryScalingConfig scaling) =>
        Wide(new() { Heads = 4, KvHeads = 2 }) with { Position = new RotaryPositionConfig { Scaling = scaling } };

    private static ModelConfig Of(Dictionary<string, AttentionConfig> mixers) =>
        GroupQuery["wide"] with { Layers = 3, Attention = null, Mixers = mixers, Pattern = ["local", "global", "local"] };

    private static ModelConfig Rope(RotaryScalingConfig scaling) =>
        Tiny.Config with { Position = new RotaryPositionConfig { Scaling = scaling } };
}
