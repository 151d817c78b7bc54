using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu;

// B rows · T tokens · V vocabulary

public sealed class CpuInferenceModelTests
{
    private const double Tolerance = 1e-4;
    private const string GrownNtk = "grown dynamic ntk";

    private static readonly SoftmaxAttentionConfig FourHeads = new() { Heads = 4, KvHeads = 2 };

    // What the tiny models leave out.
    private static Dictionary<string, ModelConfig> More { get; } = new()
    {
        ["biases, soft cap, normalised queries"] = Tiny.Config with
        {
            Attention = FourHeads with { Bias = true, LogitSoftCap = 5, QueryKeyNorm = true }
        },
        [GrownNtk] = Tiny.Config with
        {
            Position = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 5 } }
        },
        ["linear scaling"] = Tiny.Config with { Position = new RotaryPositionConfig { Scaling = new LinearScalingConfig { Factor = 2 } } },
        ["llama3 scaling"] = Tiny.Config with
        {
            Position = new RotaryPositionConfig { Scaling = new Llama3ScalingConfig { Factor = 4, OriginalLength = 8 } }
        },
        ["relative with a soft mask"] = Tiny.Config with
        {
            Position = Tiny.Positions["relative"],
            Attention = FourHeads with { Window = Tiny.Windows["dynamic"] }
        },
        ["untied head, width that no vector fits"] = Tiny.Config with
        {
            Width = 20,
            TiedHead = false,
            Attention = new SoftmaxAttentionConfig { Heads = 2, HeadWidth = 6 }
        },
        ["heads of 32"] = Tiny.Config with { Attention = FourHeads with { HeadWidth = 32 } },
        ["heads of 48"] = Tiny.Config with { Attention = FourHeads with { HeadWidth = 48, QueryKeyNorm = true } },
        ["heads of 64"] = Tiny.Config with { Attention = FourHeads with { HeadWidth = 64, Window = Tiny.Windows["sliding 3"] } },
        ["latent vectors of 64"] = Tiny.Config with
        {
            Attention = new LatentAttentionConfig { Heads = 3, HeadWidth = 40, KvRank = 64, QueryRank = 32, RopeWidth = 32 }
        },
        ["forgetting, heads of 40"] = Tiny.Config with
        {
            Attention = new ForgettingAttentionConfig { Heads = 3, HeadWidth = 40, OutputGate = true },
            Position = new NoPositionConfig(),
        },
        ["muP"] = Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4, Deviation = 0.3 } },
        ["no MLP"] = Tiny.Config with { Mlp = new NoMlpConfig() },
        ["no layers"] = Tiny.Config with { Layers = 0 },
        ["one expert of four, with biases"] = Tiny.Config with
        {
            Mlp = Tiny.Mixture with { Active = 1, Expert = new GeluMlpConfig { Hidden = 24, Bias = true } }
        },
    };

    private static IEnumerable<string> Names =>
    [
        .. Tiny.Models.Keys,
        .. Tiny.Mlps.Keys.Select(name => $"mlp {name}"),
        .. Tiny.Norms.Keys.Select(name => $"norm {name}"),
        .. More.Keys,
    ];

    public static TheoryData<string> Kinds => [.. Names];

    // Those that are left out make frequencies anew at each length, or begin a segment now and then.
    public static TheoryData<string> Steady => [.. Names.Where(name => name != GrownNtk && !Tiny.Segmented.ContainsKey(name))];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Prompts_and_steps_of_rows_of_unequal_length_give_the_logits_of_the_model(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 3);
        var (texts, prompts) = (new[] { Text(7), Text(12), Text(4) }, new[] { 3, 8, 1 });
        var expected = texts.Select((text, row) => Logits(model, text, prompts[row])).ToArray();
        var read = prompts.ToArray();

        engine.Read(state, [0, 1, 2], prompts, [.. texts.SelectMany((text, row) => text[..prompts[row]])], all: true);
        var place = 0;
        for (var row = 0; row < 3; row++)
            for (var token = 0; token < prompts[row]; token++) Compare(row, token, place++);
        while (Enumerable.Range(0, 3).Where(row => read[row] < texts[row].Length).ToArray() is { Length: > 0 } rows)
        {
            engine.Read(state, rows, [.. rows.Select(_ => 1)], [.. rows.Select(row => texts[row][read[row]])]);
            for (var part = 0; part < rows.Length; part++) Compare(rows[part], read[rows[part]]++, part);
        }
        Assert.Equal(texts.Select(text => text.Length), state.Lengths);

        void Compare(int row, int token, int place)
        {
            var logits = engine.Logits(place);
            for (var i = 0; i < logits.Length; i++)
                Near.Equal(expected[row][token * logits.Length + i], logits[i], Tolerance, $"row {row}, token {token}, logit {i}");
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_row_gives_the_same_bits_alone_and_beside_others_in_every_format(string kind)
    {
        using var model = Model(kind);
        foreach (var format in Enum.GetValues<WeightFormat>())
        {
            using var engine = CpuInferenceModel.TryCreate(model, format)!;
            using var together = engine.NewState(rows: 4);
            using var alone = engine.NewState(rows: 1);
            var texts = Enumerable.Range(0, 4).Select(row => Text(4 + row)).ToArray();
            for (var token = 0; token < 4; token++)
            {
                engine.Read(together, [0, 1, 2, 3], [1, 1, 1, 1], [.. texts.Select(text => text[token])]);
                var beside = engine.Logits(2).ToArray();
                engine.Read(alone, [0], [1], [texts[2][token]]);
                Assert.Equal(beside, engine.Logits(0).ToArray());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_copied_row_goes_on_as_the_first_and_a_cleared_one_begins_anew(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 2);
        var (text, other) = (Text(6), Text(5));
        var expected = After(0, text);
        After(1, other);
        state.Clear(0);
        After(0, text[..4]);
        state.Copy(from: 0, to: 1);
        Assert.Equal(expected, After(1, text[4..]));
        Assert.Equal(expected, After(0, text[4..]));

        float[] After(int row, int[] tokens)
        {
            // One by one, since scalings that follow the length make a text differ from its parts.
            foreach (var token in tokens) engine.Read(state, [row], [1], [token]);
            return engine.Logits(0).ToArray();
        }
    }

    [Theory]
    [MemberData(nameof(Steady))]
    public void A_step_allocates_nothing(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model, WeightFormat.Q8)!;
        using var state = engine.NewState(rows: 2);
        int[] rows = [0, 1], ones = [1, 1], tokens = [3, 5];
        for (var step = 0; step < 4; step++) engine.Read(state, rows, ones, tokens);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var step = 0; step < 6; step++) engine.Read(state, rows, ones, tokens);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData("sliding 3")]
    [InlineData("rope")]
    [InlineData("gated_delta")]
    [InlineData("convolution")]
    [InlineData("latent")]
    public void A_prompt_of_several_passes_gives_the_same_bits_as_its_tokens_one_by_one(string kind)
    {
        manual_seed(12);
        using var model = new TransformerModel(Tiny.Models[kind] with { ContextLength = 450 });
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 3);
        var (text, other) = (Text(420), Text(130));
        engine.Read(state, [0, 1], [130, 420], [.. other, .. text]);
        var whole = engine.Logits(1).ToArray();
        foreach (var token in text) engine.Read(state, [2], [1], [token]);
        Assert.Equal(whole, engine.Logits(0).ToArray());
        if (kind == "rope") Near.Equal(Logits(model, text, 420)[^13], whole[0], Tolerance);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void An_engine_of_a_checkpoint_gives_the_bits_of_one_of_the_model(string kind)
    {
        using var folder = new TemporaryFolder();
        using var model = Model(kind);
        CheckpointFolder.Save(folder["checkpoint"], model.Config, model.Weights.ToStored());
        using var expected = CpuInferenceModel.TryCreate(model)!;
        using var found = CpuInferenceModel.TryCreate(CheckpointFolder.Open(folder["checkpoint"]), WeightFormat.AsIs, threads: 2)!;
        var text = Text(9);
        Assert.Equal(Read(expected), Read(found));

        float[] Read(InferenceModel engine)
        {
            using var state = engine.NewState(rows: 1);
            engine.Read(state, [0], [text.Length], text);
            return engine.Logits(0).ToArray();
        }
    }

    [Fact]
    public void A_checkpoint_whose_tensors_are_not_its_models_is_refused_before_anything_is_read()
    {
        using var folder = new TemporaryFolder();
        using var model = Model("rope");
        CheckpointFolder.Save(folder["checkpoint"], model.Config with { Width = 32 }, model.Weights.ToStored());
        using var checkpoint = CheckpointFolder.Open(folder["checkpoint"]);
        var problem = Assert.Throws<InputException>(() => CpuInferenceModel.TryCreate(checkpoint, WeightFormat.AsIs, threads: 1));
        Assert.Contains("model.embed_tokens.weight", problem.Message);
    }

    // Beside the weights' own rounding, which the model is given too, few-bit kernels round their inputs to 8 bits.
    [Theory]
    [InlineData(WeightFormat.BFloat16, 1e-6)]
    [InlineData(WeightFormat.Half, 1e-6)]
    [InlineData(WeightFormat.Q8, 0.03)]
    [InlineData(WeightFormat.Q4, 0.03)]
    public void A_packed_model_is_the_model_of_its_rounded_weights(WeightFormat format, double tolerance)
    {
        manual_seed(13);
        using var model = new TransformerModel(
            Tiny.Config with { Width = 64, Initialization = new Gpt2InitializationConfig { Deviation = 0.1 } });
        using var packed = CpuInferenceModel.TryCreate(model, format)!;
        var text = Text(12);
        var found = Last(packed);
        foreach (var (_, weight) in model.Weights.Where(weight => weight.Value.dim() == 2)) Round(weight, format);
        using var exact = CpuInferenceModel.TryCreate(model)!;
        var expected = Last(exact);
        var size = Math.Sqrt(expected.Select(x => (double)x * x).Average());
        Near.Equal(
            0, Math.Sqrt(expected.Zip(found, (a, b) => (double)(a - b) * (a - b)).Average()) / size, tolerance,
            "error of the logits as a share of their size");

        float[] Last(InferenceModel engine)
        {
            using var state = engine.NewState(rows: 1);
            engine.Read(state, [0], [12], text);
            return engine.Logits(0).ToArray();
        }
    }

    [Fact]
    public void Where_every_token_is_kept_the_last_ones_can_be_dropped()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 1);
        engine.Read(state, [0], [3], [1, 2, 3]);
        var expected = engine.Logits(0).ToArray();
        engine.Read(state, [0], [4], [4, 5, 6, 7]);
        state.Truncate(0, 2);
        engine.Read(state, [0], [1], [3]);
        Assert.Equal(expected, engine.Logits(0).ToArray());
    }

    [Fact]
    public void A_recurrence_drops_all_tokens_or_none()
    {
        using var model = Model("gated_delta");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 1);
        engine.Read(state, [0], [3], [1, 2, 3]);
        Assert.False(state.CanTruncate);
        Assert.Throws<InvalidOperationException>(() => state.Truncate(0, 2));
        state.Truncate(0, 0);
        Assert.Equal([0], state.Lengths);
    }

    private static TransformerModel Model(string kind)
    {
        manual_seed(11);
        if (Tiny.Models.ContainsKey(kind)) return Tiny.Model(kind);
        var config = kind.StartsWith("mlp ", StringComparison.Ordinal) ? Tiny.Config with { Mlp = Tiny.Mlps[kind[4..]] }
            : kind.StartsWith("norm ", StringComparison.Ordinal) ? Tiny.Config with { Norm = Tiny.Norms[kind[5..]] }
            : More[kind];
        var model = Tiny.Stir(new TransformerModel(config));
        Layers.Attention.WindowCases.Spread(model);
        return model;
    }

    private static void Round(Tensor weight, WeightFormat format)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        if (format is WeightFormat.BFloat16 or WeightFormat.Half)
        {
            weight.copy_(weight.to(format == WeightFormat.Half ? ScalarType.Float16 : ScalarType.BFloat16));
            return;
        }
        var blocks = format == WeightFormat.Q8 ? Transformer.Quantization.Q8_0.Format : Transformer.Quantization.Q4_0.Format;
        var numbers = weight.detach().flatten().data<float>().ToArray();
        var bytes = new byte[blocks.BytesOf(numbers.Length)];
        blocks.Quantize(numbers, bytes);
        blocks.Dequantize(bytes, numbers);
        weight.copy_(tensor(numbers).view(weight.shape));
    }

    private static int[] Text(int tokens) => [.. Tiny.Ids(1, tokens).data<long>().Select(id => (int)id)];

    // The prompt in one batch and then token by token, as the model itself generates: all logits.
    private static float[] Logits(TransformerModel model, int[] text, int prompt)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var ids = tensor(text.Select(token => (long)token).ToArray()).unsqueeze(0);
        model.eval();
        if (model.Config.HasSegments) return [.. model.forward(ids, null).flatten().data<float>()];
        using var state = model.NewState(rows: 1);
        var logits = model.forward(ids.narrow(1, 0, prompt), state).flatten().data<float>().ToList();
        for (var at = prompt; at < text.Length; at++) logits.AddRange(model.forward(ids.narrow(1, at, 1), state).flatten().data<float>());
        return [.. logits];
    }
}
