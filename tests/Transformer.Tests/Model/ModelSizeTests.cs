using Transformer.Configuration;
using Transformer.Model;

namespace Transformer.Tests.Model;

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
            new("positions", 16 * 8, 0),
            new("attention", 2 * (8 * 24 + 24 + 2 * (8 * 12 + 12) + 24 * 8 + 8 + 12), 2 * (8 * 24 + 2 * 8 * 12 + 24 * 8)),
            new("mlp", 2 * (2 * (8 * 20 + 20) + 20 * 8 + 8), 2 * 3 * 8 * 20),
            new("norms", 5 * 8, 0),
            new("head", 80, 80),
        ], size.Parts);
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
        Assert.Equal(16 * size.Parameters, size.ParameterBytes + size.GradientBytes + size.MomentBytes(new AdamWConfig { LearningRate = 1 }));
        Assert.Equal(2 * 2 * 8 * 4, size.StateBytes(1));
        Assert.Equal(16 * size.StateBytes(1), size.StateBytes(16));
        var grouped = new ModelSize(Tiny with { Attention = new SoftmaxAttentionConfig { Heads = 2, KvHeads = 1 } });
        Assert.Equal(size.StateBytes(1), 2 * grouped.StateBytes(1));
    }

    [Fact]
    public void A_sliding_window_bounds_the_state_and_the_operations_of_a_token()
    {
        var (full, window) = (new ModelSize(Tiny), Windowed(new SlidingWindowConfig { Size = 4 }));
        Assert.Equal(full.StateBytes(3), window.StateBytes(3));
        Assert.Equal(full.StateBytes(4), window.StateBytes(100));
        Assert.Equal(full.FlopsPerToken(4), window.FlopsPerToken(4));
        Assert.Equal(6 * full.MatrixParameters + 12 * 2 * 8 * (4 - 4 * 4 / (2 * 100.0)), window.FlopsPerToken(100), 1e-9);    // 2 blocks, width 8, W - W^2 / 2T keys
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
        var (full, adaptive, dynamic) = (new ModelSize(Tiny), Windowed(new AdaptiveWindowConfig { Maximum = 10, Ramp = 5 }), Windowed(new DynamicWindowConfig { Maximum = 10, Ramp = 5 }));
        Assert.Equal((2 * 2, 0), (adaptive.Parameters - full.Parameters, adaptive.MatrixParameters - full.MatrixParameters));                   // p, a head
        Assert.Equal((2 * 2 * 9, 2 * 2 * 8), (dynamic.Parameters - full.Parameters, dynamic.MatrixParameters - full.MatrixParameters));         // v and b, a head
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

    private static ModelSize Windowed(WindowConfig window) => new(Tiny with { Attention = new SoftmaxAttentionConfig { Heads = 2, Window = window } });

    [Fact]
    public void Activations_grow_with_every_token_alike()
    {
        var size = new ModelSize(Tiny);
        Assert.Equal(6 * size.ActivationBytes(1, 1), size.ActivationBytes(2, 3));
        // 2 blocks of (16 + 16 + 16 + 2) + (16 + 3 * 32), 3 * 8 around them and 2 * 10 for the logits, of four bytes.
        Assert.Equal(4 * (2 * (50 + 112) + 24 + 20), size.ActivationBytes(1, 1));
    }

    [Fact]
    public void A_vocabulary_that_the_tokenizer_decides_must_be_given()
    {
        var open = Tiny with { VocabularySize = null };
        Assert.Equal(new ModelSize(Tiny).Parameters, new ModelSize(open, vocabularySize: 10).Parameters);
        Assert.Throws<ArgumentException>(() => new ModelSize(open));
    }
}
