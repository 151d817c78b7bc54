using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Inference;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Tests.Configuration;

public class ModelSizeTests
{
    private static readonly ModelConfig Tiny = new()
    {
        Width = 8,
        ContextLength = 16,
        Layers = 2,
        VocabularySize = 10,
        Attention = new SoftmaxAttentionConfig { Heads = 2 },
    };

    [Theory]
    [InlineData("gpt2", 124_439_808)]
    [InlineData("gpt2-medium", 354_823_168)]
    [InlineData("gpt2-large", 774_030_080)]
    [InlineData("gpt2-xl", 1_557_611_200)]
    [InlineData("llama-15m", 15_191_712)]
    [InlineData("llama-1b", 1_235_814_400)]
    [InlineData("llama-7b", 6_738_415_616)]
    [InlineData("llama-8b", 8_030_261_248)]
    public void Presets_have_the_published_number_of_parameters(string preset, long parameters)
    {
        Assert.Equal(parameters, new ModelSize(ConfigFile.Preset(preset)).Parameters);
    }

    public static TheoryData<string> Models => [.. Tests.Tiny.Models.Keys];

    [Theory]
    [MemberData(nameof(Models))]
    public void Models_have_the_parameters_and_states_that_are_counted(string kind)
    {
        var config = Tests.Tiny.Models[kind];
        using var model = new TransformerModel(config);
        using var inference = SegmentedInferenceModel.Over(new TorchInferenceModel(model));
        using var state = inference.NewState(rows: 1, capacity: 7);
        var size = new ModelSize(config);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), size.Parameters);
        // Not every expert is used by a token, and every head uses one table of distances.
        if (config.Mlp is not MixtureMlpConfig && config.Position is not ScoreBiasPositionConfig)
            Assert.Equal(model.named_parameters().Where(IsMatrix).Sum(parameter => parameter.parameter.numel()), size.MatrixParameters);
        // A window learned per head keeps what it has learned to attend to, at most what is counted.
        if (config.Attention is SoftmaxAttentionConfig { Window: AdaptiveWindowConfig }) Assert.InRange(state.Bytes, 1, size.StateBytes(7));
        else Assert.Equal(state.Bytes, size.StateBytes(7));

        static bool IsMatrix((string Name, TorchSharp.Modules.Parameter Value) parameter) =>
            parameter.Value.dim() == 2 && !parameter.Name.Contains("embed_positions") && parameter.Name != MemoryConfig.TokensName
            && !ReadsPictures(parameter.Name);

        // Counted a picture, not a token.
        static bool ReadsPictures(string name) => name.StartsWith("model.vision.", StringComparison.Ordinal)
            || name.EndsWith("cross_attn.k_proj.weight", StringComparison.Ordinal)
            || name.EndsWith("cross_attn.v_proj.weight", StringComparison.Ordinal);
    }

    [Fact]
    public void The_work_and_the_state_of_linear_attention_do_not_depend_on_the_length()
    {
        var size = new ModelSize(Tests.Tiny.Models["gated_delta"]);
        Assert.Equal(size.FlopsPerToken(10), size.FlopsPerToken(1000));
        Assert.Equal(size.StateBytes(1), size.StateBytes(1000));
        // 3 products of D x D in H heads and L blocks
        Assert.Equal(6 * size.MatrixParameters + 6 * 3 * 2 * 4 * 4 * 4, size.FlopsPerToken(10));
    }

    [Fact]
    public void Each_part_counts_its_own()
    {
        var size = new ModelSize(Tiny with
        {
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, HeadWidth = 6, Bias = true, QueryKeyNorm = true },
            Mlp = new SwiGluMlpConfig { Hidden = 20, Bias = true },
            Position = new LearnedPositionConfig(),
            Norm = new LayerNormConfig { Bias = false },
            TiedHead = false,
        });
        Assert.Equal(
        [
            new("embedding", 80, 0),
            new("vision", 0, 0),
            new("positions", 16 * 8, 0),
            new("attention", 2 * (8 * 24 + 24 + 2 * (8 * 12 + 12) + 24 * 8 + 8 + 12), 2 * (8 * 24 + 2 * 8 * 12 + 24 * 8)),
            new("mlp", 2 * (2 * (8 * 20 + 20) + 20 * 8 + 8), 2 * 3 * 8 * 20),
            new("norms", 5 * 8, 0),
            new("residuals", 0, 0),
            new("memory", 0, 0),
            new("hourglasses", 0, 0),
            new("head", 80, 80),
        ], size.Parts);
    }

    public static TheoryData<string> Deep => [.. Tests.Tiny.Deep.Keys];

    [Theory]
    [MemberData(nameof(Deep))]
    public void Parameters_and_muon_s_moments_are_those_of_the_real_model(string kind)
    {
        var config = Tests.Tiny.Deep[kind];
        using var model = new TransformerModel(config);
        var size = new ModelSize(config);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), size.Parameters);
        var hidden = model.Weights.Where(weight => model.ParameterSpecs[weight.Name].IsHidden).Sum(weight => weight.Value.numel());
        Assert.Equal(4 * (2 * size.Parameters - hidden), TrainingMemory.MomentBytes(size, new MuonConfig { LearningRate = 1 }));
    }

    [Fact]
    public void A_mixture_weighs_all_experts_and_costs_the_active_ones()
    {
        var mixture = new MixtureMlpConfig { Experts = 6, Active = 2, Expert = new SwiGluMlpConfig { Hidden = 20, Bias = true } };
        var part = new ModelSize(Tiny with { Mlp = mixture }).Parts.Single(part => part.Name == "mlp");
        Assert.Equal(new("mlp", 2 * (6 * (3 * 8 * 20 + 2 * 20 + 8) + 6 * 8), 2 * (2 * 3 * 8 * 20 + 6 * 8)), part);
    }

    [Fact]
    public void Streams_and_second_norms_are_kept_for_the_backward_pass()
    {
        long Activations(ResidualConfig residual) => new ModelSize(Tiny with { Residual = residual }).ActivationBytes(1, 1);
        var plain = Activations(new PreNormResidualConfig());
        Assert.Equal(plain, Activations(new PostNormResidualConfig()));
        // two blocks, two sub-layers
        Assert.Equal(plain + 4 * 2 * 2 * 8, Activations(new SandwichResidualConfig()));
        Assert.Equal(plain + 4 * 2 * 2 * (3 + 1) * 8, Activations(new HyperConnectionsResidualConfig { Streams = 3 }));
    }

    public static TheoryData<string> Positions => [.. Tests.Tiny.Positions.Keys];

    [Theory, MemberData(nameof(Positions))]
    public void A_model_has_as_many_parameters_as_its_size_says(string position)
    {
        var config = Tests.Tiny.Config with { Position = Tests.Tiny.Positions[position] };
        using var model = new TransformerModel(config);
        Assert.Equal(model.Weights.Sum(weight => weight.Value.numel()), new ModelSize(config).Parameters);
    }

    [Fact]
    public void Tables_of_biases_are_counted_once_and_the_products_with_them_in_every_head_and_block()
    {
        Assert.Equal(new("positions", 32 * 2, 0), Part(new T5PositionConfig()));
        Assert.Equal(new("positions", 17 * 4, 2 * 2 * 17 * 4), Part(new RelativePositionConfig { Maximum = 16 }));    // 2 blocks of 2 heads
        Assert.Equal(new("positions", 0, 0), Part(new AlibiPositionConfig()));

        static ModelSizePart Part(PositionConfig position) =>
            new ModelSize(Tiny with { Position = position }).Parts.Single(part => part.Name == "positions");
    }

    [Fact]
    public void A_tied_head_has_no_parameters_but_its_product_counts()
    {
        var tied = new ModelSize(Tiny);
        var untied = new ModelSize(Tiny with { TiedHead = false });
        Assert.Equal(80, untied.Parameters - tied.Parameters);
        Assert.Equal(untied.MatrixParameters, tied.MatrixParameters);
    }

    [Fact]
    public void Training_costs_six_operations_a_matrix_parameter_and_the_attention()
    {
        var size = new ModelSize(Tiny);
        Assert.Equal(2 * (4 * 64 + 3 * 8 * 32) + 80, size.MatrixParameters);
        Assert.Equal(6 * size.MatrixParameters + 6 * 2 * 100 * 8, size.FlopsPerToken(100));
        Assert.Equal(size.FlopsPerToken(100) / 3, size.ForwardFlopsPerToken(100));
    }

    [Fact]
    public void Training_keeps_four_numbers_a_parameter_and_grouped_heads_shrink_the_cache()
    {
        var size = new ModelSize(Tiny);
        Assert.Equal(
            16 * size.Parameters,
            size.ParameterBytes + size.GradientBytes + TrainingMemory.MomentBytes(size, new AdamWConfig { LearningRate = 1 }));
        Assert.Equal(2 * 2 * 8 * 4, size.StateBytes(1));
        Assert.Equal(16 * size.StateBytes(1), size.StateBytes(16));
        var grouped = new ModelSize(Tiny with { Attention = new SoftmaxAttentionConfig { Heads = 2, KvHeads = 1 } });
        Assert.Equal(size.StateBytes(1), 2 * grouped.StateBytes(1));
    }

    [Fact]
    public void Moments_in_bf16_weigh_half_and_leave_muon_s_momenta_as_they_are()
    {
        var (size, adamw) = (new ModelSize(Tiny), new AdamWConfig { LearningRate = 1, StatePrecision = StatePrecision.Bf16 });
        var hidden = size.MatrixParameters - 80;
        Assert.Equal(4 * size.Parameters, TrainingMemory.MomentBytes(size, adamw));
        Assert.Equal(
            4 * hidden + 4 * (size.Parameters - hidden),
            TrainingMemory.MomentBytes(size, new MuonConfig { LearningRate = 1, Adamw = adamw }));
    }

    [Fact]
    public void A_sliding_window_bounds_the_state_and_the_operations_of_a_token()
    {
        var (full, window) = (new ModelSize(Tiny), Windowed(new SlidingWindowConfig { Size = 4 }));
        Assert.Equal(full.StateBytes(3), window.StateBytes(3));
        Assert.Equal(full.StateBytes(4), window.StateBytes(100));
        Assert.Equal(full.FlopsPerToken(4), window.FlopsPerToken(4));
        // 2 blocks, width 8, W - W^2 / 2T keys
        Assert.Equal(6 * full.MatrixParameters + 12 * 2 * 8 * (4 - 4 * 4 / (2 * 100.0)), window.FlopsPerToken(100), 1e-9);
        Assert.Equal(full.Parameters, window.Parameters);
    }

    [Fact]
    public void A_length_scaled_window_costs_the_root_of_the_length()
    {
        var window = Windowed(new LengthScaledWindowConfig { Minimum = 1, Scale = 1, Exponent = 0.5 });
        var mixing = (long tokens) => window.FlopsPerToken(tokens) - 6 * window.MatrixParameters;
        Assert.Equal(2, mixing(40_000) / mixing(10_000), 0.02);
        Assert.Equal(100 * window.StateBytes(1), window.StateBytes(10_000));
    }

    [Fact]
    public void Learned_windows_count_their_parameters_and_no_more_than_their_maximum()
    {
        var (full, adaptive, dynamic) = (
            new ModelSize(Tiny), Windowed(new AdaptiveWindowConfig { Maximum = 10, Ramp = 5 }),
            Windowed(new DynamicWindowConfig { Maximum = 10, Ramp = 5 }));
        // p, a head
        Assert.Equal((2 * 2, 0), (adaptive.Parameters - full.Parameters, adaptive.MatrixParameters - full.MatrixParameters));
        // v and b, a head
        Assert.Equal((2 * 2 * 9, 2 * 2 * 8), (dynamic.Parameters - full.Parameters, dynamic.MatrixParameters - full.MatrixParameters));
        foreach (var size in (ModelSize[])[adaptive, dynamic]) Assert.Equal(full.StateBytes(16), size.StateBytes(1000));
    }

    [Fact]
    public void The_parameters_of_learned_windows_are_those_of_the_model()
    {
        foreach (var window in Tests.Tiny.Windows.Values)
        {
            var config = Tiny with { Attention = new SoftmaxAttentionConfig { Heads = 2, Window = window } };
            using var model = new TransformerModel(config);
            Assert.Equal(model.Weights.Sum(weight => weight.Value.numel()), new ModelSize(config).Parameters);
            using var state = model.NewState(rows: 1);
            Assert.InRange(state.Bytes, 1, new ModelSize(config).StateBytes(16));    // adaptive spans that are still zero keep less
        }
    }

    private static ModelSize Windowed(WindowConfig window) =>
        new(Tiny with { Attention = new SoftmaxAttentionConfig { Heads = 2, Window = window } });

    [Fact]
    public void Activations_grow_with_every_token_alike()
    {
        var size = new ModelSize(Tiny);
        Assert.Equal(6 * size.ActivationBytes(1, 1), size.ActivationBytes(2, 3));
        // 2 blocks of (16 + 16 + 16 + 2) + (16 + 3 * 32) and 2 * 8 above them, of four bytes.
        Assert.Equal(4 * (2 * (50 + 112) + 16), size.ActivationBytes(1, 1));
        Assert.Equal(4 * (2 * 8 + 16), size.ActivationBytes(1, 1, checkpointing: true));
    }

    [Fact]
    public void Logits_that_are_not_made_cost_nothing()
    {
        var size = new ModelSize(Tiny);
        Assert.Equal(size.FlopsPerToken(100) - 6 * 80 * 0.75, size.FlopsPerToken(100, labelled: 0.25), 1e-9);
    }

    [Fact]
    public void Blocks_without_an_mlp_are_their_mixers_and_one_norm_each()
    {
        var config = Tiny with { Mlp = new NoMlpConfig() };
        using var model = new TransformerModel(config);
        var size = new ModelSize(config);
        Assert.Equal(80 + 2 * 4 * 64 + (2 + 1) * 8, size.Parameters);
        Assert.Equal(size.Parameters, model.Weights.Sum(weight => weight.Value.numel()));
        Assert.Equal(2 * 4 * 64 + 80, size.MatrixParameters);
        Assert.DoesNotContain(model.Weights, weight => weight.Name.Contains("mlp") || weight.Name.Contains("post_attention"));
        Assert.Equal(4 * (2 * 50 + 16), size.ActivationBytes(1, 1));
    }

    [Fact]
    public void A_vocabulary_that_the_tokenizer_decides_must_be_given()
    {
        var open = Tiny with { VocabularySize = null };
        Assert.Equal(new ModelSize(Tiny).Parameters, new ModelSize(open, vocabularySize: 10).Parameters);
        Assert.Throws<ArgumentException>(() => new ModelSize(open));
    }
}
