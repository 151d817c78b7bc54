using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats.Gguf;

public sealed class GgufModelTests : IDisposable
{
    private static readonly ModelConfig Llama = Tiny.Config with { Attention = Heads(false), Mlp = new SwiGluMlpConfig { Hidden = 24 } };

    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    private string Path => folder["model.gguf"];

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    public static IReadOnlyDictionary<string, ModelConfig> Expressible { get; } = new Dictionary<string, ModelConfig>
    {
        ["llama"] = Llama,
        ["llama with a head of its own"] = Llama with { TiedHead = false },
        ["llama with biases"] = Llama with { Attention = Heads(true), Mlp = new SwiGluMlpConfig { Hidden = 24, Bias = true } },
        ["llama with wide heads"] = Llama with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, HeadWidth = 6 } },
        ["llama of another base"] = Llama with
        {
            Position = new RotaryPositionConfig { Theta = 500_000 },
            Norm = new RmsNormConfig { Epsilon = 1e-6 }
        },
        ["llama with linear scaling"] = Llama with
        {
            Position = new RotaryPositionConfig { Scaling = new LinearScalingConfig { Factor = 2.5 } }
        },
        ["llama with yarn"] = Llama with { Position = Tiny.Positions["rope_yarn"] },
        ["gpt2"] = Gpt2(4),
        ["gpt2 with a head of its own"] = Gpt2(2) with { TiedHead = false },
    };

    public static TheoryData<string> Expressibles => [.. Expressible.Keys];

    [Theory]
    [MemberData(nameof(Expressibles))]
    public void A_model_comes_back_with_its_configuration_and_every_bit_of_its_weights(string kind)
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Expressible[kind]);
        GgufModel.Write(Path, model.Config, model.Weights.ToStored(), Characters(13), GgufPrecision.F32);
        using var imported = ModelImport.Import(Path);

        Assert.Equal(model.Config with { Initialization = new Gpt2InitializationConfig() }, imported.Model);
        Assert.Equal(model.Weights.Select(weight => weight.Name).Order(), imported.Tensors.Keys.Order());
        foreach (var (name, value) in model.Weights) TensorAssert.Same(value, imported.Tensors[name], name);
    }

    [Fact]
    public void A_model_at_the_path_of_a_file_writes_what_its_original_writes()
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Llama);
        GgufModel.Write(Path, model.Config, model.Weights.ToStored(), Characters(13), GgufPrecision.F32);
        using var loaded = LoadedModel.Open(Path);
        var options = SamplingOptions.Greedy with { MaxTokens = 20 };
        using var original = ModelInference.Of(model);
        using var copy = ModelInference.Of(loaded.Model);
        var expected = new TextGenerator(original, Characters(13))
            .GenerateText(["abc"], options, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(expected[0].Text, new TextGenerator(copy, loaded.Tokenizer)
            .GenerateText(["abc"], options, cancellation: TestContext.Current.CancellationToken)[0].Text);
    }

    // llama2.c, too, stores the pairs of rotary positions side by side.
    [Fact]
    public void Rows_of_queries_and_keys_lie_as_llama2_c_has_them()
    {
        using var stories = ModelImport.Import(Golden.PathOf("stories260k/stories260K.bin"));
        GgufModel.Write(Path, stories.Model, stories.Tensors.Values, Stories(), GgufPrecision.F32);
        using var file = GgufFile.Open(Path);
        var numbers = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(
            File.ReadAllBytes(Golden.PathOf("stories260k/stories260K.bin")).AsSpan(7 * sizeof(int)));
        const int queries = 512 * 64 + 5 * 64, keys = queries + 5 * 64 * 64;
        Assert.Equal(numbers.Slice(queries, 64 * 64).ToArray(), file.Read("blk.0.attn_q.weight").data<float>().ToArray());
        Assert.Equal(numbers.Slice(keys, 32 * 64).ToArray(), file.Read("blk.0.attn_k.weight").data<float>().ToArray());
    }

    public static TheoryData<string, string> Inexpressible => new()
    {
        { "none", "model.position.kind" }, { "sinusoidal", "model.position.kind" }, { "alibi", "model.position.kind" },
        { "t5", "model.position.kind" }, { "relative", "model.position.kind" },
        { "learned", "model.attention.bias" }, { "rope_dynamic_ntk", "model.position.scaling" },
        { "sliding 3", "model.attention.window" }, { "length_scaled", "model.attention.window" }, { "adaptive", "model.attention.window" },
        { "dynamic", "model.attention.window" },
        { "post_norm", "model.residual.kind" }, { "sandwich", "model.residual.kind" }, { "deep_norm", "model.residual.kind" },
        { "rezero", "model.residual.kind" },
        { "hyper_connections", "model.residual.kind" }, { "value_residual", "model.attention.value_residual" },
        { "mixture", "model.mlp.kind" },
        { "elu", "model.attention.kind" }, { "gated_delta", "model.attention.kind" }, { "convolution", "model.attention.kind" },
        { "latent", "model.attention.kind" },
        { "hybrid", "model.mixers" },
    };

    [Theory]
    [MemberData(nameof(Inexpressible))]
    public void What_no_file_can_express_is_refused_by_its_key(string kind, string key)
    {
        random.manual_seed(1337);
        using var model = Tiny.Model(kind);
        var error = Assert.Throws<InputException>(
            () => GgufModel.Write(Path, model.Config, model.Weights.ToStored(), Characters(13), GgufPrecision.F32));
        Assert.StartsWith(key, error.Message);
        Assert.False(File.Exists(Path));
    }

    [Fact]
    public void The_erf_form_of_GELU_is_refused() =>
        Assert.Equal("mlp.kind", GgufModel.Obstacle(Gpt2(4) with { Mlp = new GeluMlpConfig { Bias = true } }));

    [Fact]
    public void Matrices_are_quantised_where_32_divides_their_rows_and_the_embedding_is_never_below_8_bits()
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(
            Tiny.Config with { Width = 32, VocabularySize = 13, Mlp = new SwiGluMlpConfig { Hidden = 48 } });
        Assert.Equal("Q4_0 F16 Q8_0 F32", Types(GgufPrecision.Q4));
        Assert.Equal("Q8_0 F16 Q8_0 F32", Types(GgufPrecision.Q8));
        Assert.Equal("F16 F16 F16 F32", Types(GgufPrecision.F16));
        Assert.Equal("F32 F32 F32 F32", Types(GgufPrecision.F32));

        string Types(GgufPrecision precision)
        {
            GgufModel.Write(Path, model.Config, model.Weights.ToStored(), Characters(13), precision);
            using var file = GgufFile.Open(Path);
            return string.Join(
                ' ',
                new[] { "blk.1.attn_q", "blk.1.ffn_down", "token_embd", "blk.1.attn_norm" }.Select(name => file.Type($"{name}.weight")));
        }
    }

    [Theory]
    [InlineData("general.architecture", "qwen2", "found qwen2, expected llama or gpt2")]
    [InlineData("llama.attention.sliding_window", 4096u, "this library does not know what it does")]
    [InlineData("llama.rope.scaling.type", "longrope", "found longrope, expected none, linear or yarn")]
    [InlineData("llama.block_count", 3u, "model.layers.2.input_layernorm.weight: not in the file")]
    [InlineData("llama.block_count", 1u, "model.layers.1.input_layernorm.weight: file [16], not in the model")]
    [InlineData("llama.block_count", -1, "llama.block_count: found -1, expected an integer from 1 to 4096")]
    [InlineData("llama.embedding_length", 8u, "model.embed_tokens.weight: file [13, 16], model [13, 8]")]
    [InlineData("llama.feed_forward_length", 200_000u, "asks for a model that is larger than its")]
    [InlineData("llama.attention.head_count", 7u, "2 key/value heads do not divide 7 heads")]
    [InlineData("llama.attention.head_count", 65_536u, "does not split into pairs of 65536 heads")]
    [InlineData("llama.attention.key_length", 8u, "llama.attention.value_length: found 4, expected 8")]
    [InlineData("llama.attention.layer_norm_rms_epsilon", float.NaN, "expected a number above 0")]
    [InlineData(
        "llama.context_length",
        1u << 27,
        "a context of 134217728 tokens with heads of 4 asks for more angles than are made; expected 33554432 tokens at most")]
    [InlineData("llama.context_length", "twelve", "found the text twelve, expected an integer")]
    [InlineData("tokenizer.ggml.model", "bert", "found bert, expected llama, gpt2")]
    public void Metadata_that_claim_what_is_not_there_are_refused(string key, object value, string problem)
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Llama);
        GgufModel.Write(Path, model.Config, model.Weights.ToStored(), Characters(13), GgufPrecision.F32);
        using (var file = GgufFile.Open(Path))
        {
            var metadata = file.Metadata.ToDictionary();
            metadata[key] = value;
            GgufWriter.Write(folder["false.gguf"], metadata, [.. file.Names.Select(name => (file.Tensor(name), GgufTensorType.F32))]);
        }
        Assert.Contains(problem, Assert.Throws<InputException>(() => ModelImport.Import(folder["false.gguf"])).Message);
    }

    [Fact]
    public void A_context_beyond_the_table_of_positions_is_refused()
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Gpt2(4));
        GgufModel.Write(Path, model.Config, model.Weights.ToStored(), Characters(13), GgufPrecision.F32);
        using (var file = GgufFile.Open(Path))
        {
            var metadata = file.Metadata.ToDictionary();
            metadata["gpt2.context_length"] = 1u << 27;
            GgufWriter.Write(folder["false.gguf"], metadata, [.. file.Names.Select(name => (file.Tensor(name), GgufTensorType.F32))]);
        }
        Assert.Contains(
            "asks for a model that is larger than its",
            Assert.Throws<InputException>(() => ModelImport.Import(folder["false.gguf"])).Message);
    }

    internal static CharacterTokenizer Characters(int count) =>
        new([.. Enumerable.Range(0, count).Select(id => new System.Text.Rune('a' + id))]);

    internal static LlamaTokenizer Stories() => LlamaTokenizer.FromLlama2C(Golden.PathOf("stories260k/tok512.bin"));

    private static SoftmaxAttentionConfig Heads(bool bias) => new() { Heads = 4, KvHeads = 2, Bias = bias };

    private static ModelConfig Gpt2(int heads) => Tiny.Config with
    {
        Attention = new SoftmaxAttentionConfig { Heads = heads, KvHeads = null, Bias = true },
        Position = new LearnedPositionConfig(),
        Mlp = new GeluTanhMlpConfig { Hidden = 40, Bias = true },
        Norm = new LayerNormConfig(),
    };
}
