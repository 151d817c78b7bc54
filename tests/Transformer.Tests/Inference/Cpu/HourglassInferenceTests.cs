using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu;

// T tokens · V vocabulary

/// <summary>What hourglasses compute on the engine, beside what all models are tested for.</summary>
public sealed class HourglassInferenceTests
{
    private const double Tolerance = 1e-4;

    private static readonly AttentionPoolingConfig AttentionPooling = new() { Heads = 2 };
    private static readonly AttentionUpsamplingConfig AttentionUpsampling = new() { Heads = 4 };
    private static readonly int[] White = [1, 4, 5, 11];

    private static Dictionary<string, HourglassConfig> Hourglasses { get; } = new()
    {
        ["average"] = Fixed(3),
        ["groups of one token"] = Fixed(1, new LinearPoolingConfig(), new LinearUpsamplingConfig()),
        ["a group longer than the text"] = Fixed(50, AttentionPooling, new LinearUpsamplingConfig()),
        ["linear pooling"] = Fixed(4, new LinearPoolingConfig()),
        ["attention pooling"] = Fixed(3, AttentionPooling),
        ["attention pooling with biases over linear"] =
            Fixed(4, AttentionPooling with { Bias = true, Initial = new LinearPoolingConfig() }),
        ["linear upsampling"] = Fixed(3, upsampling: new LinearUpsamplingConfig()),
        ["attention upsampling"] = Fixed(3, upsampling: AttentionUpsampling),
        ["attention upsampling with biases over linear"] =
            Fixed(2, upsampling: AttentionUpsampling with { Bias = true, Initial = new LinearUpsamplingConfig() }),
        ["white space"] = Bounded(new WhiteSpaceBoundariesConfig { Tokens = White }),
        ["white space nowhere"] = Bounded(new WhiteSpaceBoundariesConfig { Tokens = [] }),
        ["white space everywhere"] = Bounded(
            new WhiteSpaceBoundariesConfig { Tokens = [.. Enumerable.Range(0, Tiny.Config.VocabularySize!.Value)] }),
        ["learned"] = Bounded(new LearnedBoundariesConfig { Hidden = 24 }),
        ["entropy"] = Bounded(new EntropyBoundariesConfig { Hidden = 8 }),
        ["learned in attention"] = Fixed(2, AttentionPooling, AttentionUpsampling) with
        {
            Layers = [1, Bounded(new LearnedBoundariesConfig()), 1]
        },
    };

    private static IEnumerable<string> Residuals => Tiny.Residuals.Keys;

    public static TheoryData<string> Kinds => [.. Hourglasses.Keys];

    public static TheoryData<string, string> KindsAndResiduals => new(
        from kind in (string[])["attention pooling with biases over linear", "attention upsampling", "learned", "learned in attention"]
        from residual in Residuals
        select (kind, residual));

    [Theory]
    [MemberData(nameof(Kinds))]
    public void In_one_pass_and_token_by_token_the_logits_are_those_of_libtorch(string kind) => AreThoseOfLibTorch(Model(kind));

    [Theory]
    [MemberData(nameof(KindsAndResiduals))]
    public void So_they_are_within_every_residual(string kind, string residual) => AreThoseOfLibTorch(Model(kind, residual));

    [Theory]
    [InlineData("learned in attention")]
    [InlineData("average")]
    public void So_they_are_without_feed_forward_layers_and_with_experts(string kind)
    {
        AreThoseOfLibTorch(Model(kind, "hyper_connections", new NoMlpConfig()));
        AreThoseOfLibTorch(Model(kind, "pre_norm", Tiny.Mixture));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Wherever_a_text_is_split_the_bits_are_the_same(string kind)
    {
        using var model = Model(kind);
        foreach (var format in (WeightFormat[])[WeightFormat.AsIs, WeightFormat.Q8])
        {
            using var engine = CpuInferenceModel.TryCreate(model, format, threads: 2)!;
            var text = Text(12);
            var whole = TextLogits.Of(engine, text);
            for (var split = 1; split < text.Length; split++) Assert.Equal(whole, TextLogits.Of(engine, text[..split], text[split..]));
            Assert.Equal(whole, TextLogits.Of(engine, [.. text.Select(token => new[] { token })]));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Rows_of_unequal_length_give_the_bits_that_they_give_alone(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        var texts = new[] { Text(7), Text(2), Text(12), Text(1) };
        using var state = engine.NewState(rows: 4);
        engine.Read(state, [2, 0], [5, 3], [.. texts[2][..5], .. texts[0][..3]]);
        engine.Read(
            state, [0, 1, 2, 3], [4, 2, 7, 1], [.. texts[0][3..], .. texts[1], .. texts[2][5..], .. texts[3]]);
        float[][] found = [.. Enumerable.Range(0, 4).Select(row => engine.Logits(row).ToArray())];
        for (var row = 0; row < 4; row++) Assert.Equal(TextLogits.Of(engine, texts[row])[^1], found[row]);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Texts_longer_than_a_batch_give_the_same_bits_as_their_tokens_one_by_one(string kind)
    {
        using var model = Model(kind, contextLength: 450);
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        using var state = engine.NewState(rows: 3);
        var (text, other) = (Text(420), Text(130));
        engine.Read(state, [0, 1], [130, 420], [.. other, .. text]);
        var whole = engine.Logits(1).ToArray();
        foreach (var token in text) engine.Read(state, [2], [1], [token]);
        Assert.Equal(whole, engine.Logits(0).ToArray());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_row_goes_on_within_a_group_after_it_was_saved(string kind)
    {
        using var folder = new TemporaryFolder();
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var text = Text(12);
        for (var saved = 1; saved < text.Length; saved++)
        {
            using var state = engine.NewState(rows: 2);
            engine.Read(state, [1], [saved], text.AsSpan(..saved));
            state.Save(folder["state"]);
            using var loaded = engine.LoadState(folder["state"]);
            Assert.Equal(Rest(state), Rest(loaded));

            float[] Rest(SequenceState from)
            {
                engine.Read(from, [1], [text.Length - saved], text.AsSpan(saved..));
                return engine.Logits(0).ToArray();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_file_and_a_copy_do_not_tell_what_a_row_held_before(string kind)
    {
        using var folder = new TemporaryFolder();
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var (text, other) = (Text(6), Text(12));
        using (var fresh = engine.NewState(rows: 2))
        {
            engine.Read(fresh, [0, 1], [6, 6], [.. text, .. text]);
            fresh.Save(folder["fresh"]);
        }
        using var used = engine.NewState(rows: 2);
        engine.Read(used, [0, 1], [12, 12], [.. other, .. other]);
        used.Clear(0);
        engine.Read(used, [0], [6], text);
        used.Copy(from: 0, to: 1);
        used.Save(folder["used"]);
        Assert.Equal(File.ReadAllBytes(folder["fresh"]), File.ReadAllBytes(folder["used"]));
    }

    [Fact]
    public void The_layers_read_a_vector_only_when_a_group_is_complete()
    {
        Assert.Equal([1, 1, 1, 2, 2, 2, 3], Groups("average", [7, 7, 7, 7, 7, 7, 7]));
        Assert.Equal([1, 1, 2, 3, 3], Groups("white space", [0, 2, 4, 1, 7]));    // the null group is the first
        Assert.Equal([1, 1, 1], Groups("white space nowhere", [1, 4, 5]));
    }

    // How many vectors the keys hold is how many have been computed: a step that completes no group leaves them unchanged.
    [Fact]
    public void A_step_within_a_group_leaves_the_state_of_the_layers_unchanged()
    {
        using var model = Model("average");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = (CpuSequenceState)engine.NewState(rows: 1);
        List<float[]> layers = [];
        foreach (var token in Text(4))
        {
            engine.Read(state, [0], [1], [token]);
            layers.Add([.. ((HourglassState)state.Layers.Node(1)).Layers.Parts(0, 4).SelectMany(Numbers)]);
        }
        Assert.Equal(layers[0], layers[1]);
        Assert.Equal(layers[0], layers[2]);
        Assert.NotEqual(layers[0], layers[3]);

        static float[] Numbers(StatePart part)
        {
            var numbers = new float[part.Count];
            part.CopyTo(numbers);
            return numbers;
        }
    }

    [Fact]
    public void What_is_no_token_is_no_boundary()
    {
        using var model = Model("white space");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = (CpuSequenceState)engine.NewState(rows: 1);
        using var embeddings = model.Embed(tensor(White.Select(token => (long)token).ToArray()).unsqueeze(0));
        engine.Read(state, [0], [White.Length], InferenceInput.OfEmbeddings([.. embeddings.data<float>()], model.Config.Width));
        Assert.Equal(1, ((HourglassState)state.Layers.Node(1)).Groups(0));
    }

    [Fact]
    public void Tokens_that_groups_have_read_cannot_be_dropped()
    {
        using var model = Model("average");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        Assert.Equal("model.layers[1]: its layers have read groups of the tokens that would be dropped", engine.ObstacleToDropping);
    }

    private static HourglassConfig Fixed(int shorten, PoolingConfig? pooling = null, UpsamplingConfig? upsampling = null) => new()
    {
        Shorten = shorten,
        Layers = 1,
        Pooling = pooling ?? new AveragePoolingConfig(),
        Upsampling = upsampling ?? new RepeatUpsamplingConfig(),
    };

    private static HourglassConfig Bounded(BoundaryConfig boundaries) => new() { Boundaries = boundaries, Layers = 1 };

    private static TransformerModel Model(string kind, string residual = "pre_norm", MlpConfig? mlp = null, int? contextLength = null)
    {
        manual_seed(14);
        var config = Tiny.Config with
        {
            Layers = [1, Hourglasses[kind], 1],
            Residual = Tiny.Residuals[residual],
            Mlp = mlp ?? Tiny.Config.Mlp,
            ContextLength = contextLength ?? Tiny.Config.ContextLength,
        };
        Assert.Empty(config.Problems());
        var model = Tiny.Stir(new TransformerModel(config));
        // Biases are zeros at first, which hides a place where one is left out.
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
            if (name.EndsWith(".bias", StringComparison.Ordinal)) parameter.add_(0.1 * randn_like(parameter));
        model.eval();
        return model;
    }

    private static void AreThoseOfLibTorch(TransformerModel made)
    {
        using var model = made;
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        var text = Text(12);
        using var inference = inference_mode();
        using var ids = tensor(text.Select(token => (long)token).ToArray()).unsqueeze(0);
        using var logits = model.forward(ids, null);
        var expected = logits.data<float>().ToArray();
        Compare([.. TextLogits.Of(engine, text).SelectMany(token => token)]);
        Compare([.. TextLogits.Of(engine, [.. text.Select(token => new[] { token })]).SelectMany(token => token)]);

        void Compare(float[] found)
        {
            Assert.Equal(expected.Length, found.Length);
            for (var i = 0; i < found.Length; i++) Near.Equal(expected[i], found[i], Tolerance, $"number {i}");
        }
    }

    // How many vectors the layers have read after each token.
    private static List<int> Groups(string kind, int[] text)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = (CpuSequenceState)engine.NewState(rows: 1);
        List<int> groups = [];
        foreach (var token in text)
        {
            engine.Read(state, [0], [1], [token]);
            groups.Add(((HourglassState)state.Layers.Node(1)).Groups(0));
        }
        return groups;
    }

    private static int[] Text(int tokens) => [.. Tiny.Ids(1, tokens).data<long>().Select(id => (int)id)];
}
