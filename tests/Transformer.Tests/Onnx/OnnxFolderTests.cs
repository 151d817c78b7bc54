using System.Text.Json.Nodes;
using Google.Protobuf;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Onnx;
using Transformer.Onnx.Format;
using Transformer.Onnx.Graph;
using Transformer.Tests.Formats.Gguf;
using Transformer.Tokenization;
using static TorchSharp.torch;
using static Transformer.Tests.Onnx.OnnxCases;

namespace Transformer.Tests.Onnx;

public sealed class OnnxFolderTests : IDisposable
{
    private static readonly ModelConfig Wide = Tiny.Config with
    {
        Width = 64,
        TiedHead = false,
        VocabularySize = 40,
        Mlp = new SwiGluMlpConfig { Hidden = 96 },
        Initialization = new Gpt2InitializationConfig { Deviation = 0.15 },
    };

    private readonly TemporaryFolder folder = new();

    private string ModelPath => folder["onnx/model.onnx"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_folder_is_that_of_Hugging_Face_and_reads_back_as_the_same_model()
    {
        using var model = ModelOf("rope");
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, GgufModelTests.Characters(13));
        string[] entries = ["config.json", "generation_config.json", "onnx", "tokenizer.json", "tokenizer_config.json"];
        string[] inputs = ["input_ids", "attention_mask", "position_ids", .. Caches("past_key_values")],
            outputs = ["logits", .. Caches("present")];
        Assert.Equal(entries, Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
        using var onnx = OnnxInferenceModel.Open(folder.Path);
        Assert.Equal(model.Config, onnx.Config);
        Assert.Equal(13, onnx.Tokenizer!.VocabularySize);
        var file = Parsed();
        Assert.Equal(inputs, file.Graph.Input.Select(input => input.Name));
        Assert.Equal(outputs, file.Graph.Output.Select(output => output.Name));
        Assert.Equal(("Transformer", "0.1.0", 1), (file.ProducerName, file.ProducerVersion, file.ModelVersion));
        Assert.Equal("12", file.MetadataProps.Single(entry => entry.Key == "context_length").Value);

        static IEnumerable<string> Caches(string prefix) =>
            from layer in Enumerable.Range(0, 2) from part in new[] { "key", "value" } select $"{prefix}.{layer}.{part}";
    }

    [Fact]
    public void Onnxruntime_genai_gets_the_names_and_the_tokens_that_end_a_text()
    {
        using var small = ModelOf("wide");
        using var model = new TransformerModel(small.Config with { VocabularySize = 512 });
        var tokenizer = GgufModelTests.Stories().WithEnds(1, [2, 5]);
        Assert.Null(OnnxFolder.GenAiObstacle(model.Config, tokenizer));
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, tokenizer, operators: OnnxOperators.Fused);
        var config = JsonNode.Parse(File.ReadAllText(folder["genai_config.json"]))!;
        Assert.True((bool)config["search"]!["past_present_share_buffer"]!);
        Assert.Equal((1, "[2,5]"), ((int)config["model"]!["bos_token_id"]!, config["model"]!["eos_token_id"]!.ToJsonString()));
        Assert.Equal("past_key_values.%d.key", (string)config["model"]!["decoder"]!["inputs"]!["past_key_names"]!);
    }

    [Fact]
    public void Where_onnxruntime_genai_would_read_or_end_a_text_wrongly_it_gets_no_file()
    {
        using var model = ModelOf("rope");
        Assert.Contains("single characters", OnnxFolder.GenAiObstacle(model.Config, GgufModelTests.Characters(13)));
        Assert.Contains("no token ends a text", OnnxFolder.GenAiObstacle(model.Config, new ByteTokenizer()));
        Assert.Contains("caches of one shape", OnnxFolder.GenAiObstacle(ModelOf("hybrid").Config, GgufModelTests.Stories()));
    }

    [Fact]
    public void The_configuration_of_a_GPT_2_is_that_of_its_family()
    {
        using var model = new TransformerModel(GgufModelTests.Expressible["gpt2"]);
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, new ByteTokenizer());
        var config = JsonNode.Parse(File.ReadAllText(folder["config.json"]))!;
        Assert.Equal(("gpt2", 12), ((string)config["model_type"]!, (int)config["n_positions"]!));
        Assert.Null(config["eos_token_id"]);
        Assert.True(config.AsObject().ContainsKey("eos_token_id"));
    }

    [Fact]
    public void A_model_in_fp32_asks_for_standard_operators_only()
    {
        foreach (var kind in Models.Keys)
        {
            using var scope = NewDisposeScope();
            using var model = ModelOf(kind);
            Assert.Empty(DecoderGraph.Of(
                model.Config, model.Weights.ToDictionary(weight => weight.Name, weight => weight.Value), OnnxPrecision.F32).Domains);
        }
    }

    public static TheoryData<string> FusedKinds => [.. GroupQuery.Keys];

    [Theory]
    [MemberData(nameof(FusedKinds))]
    public void Fused_blocks_are_one_attention_and_norms_that_add(string kind)
    {
        using var model = ModelOf(kind);
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, operators: OnnxOperators.Fused);
        var ops = Parsed().Graph.Node.CountBy(node => node.OpType).ToDictionary();
        Assert.Equal(model.Config.Layers.Blocks, ops["GroupQueryAttention"]);
        // All norms of the stream but the first have a sum before them.
        Assert.Equal(
            2 * model.Config.Layers.Blocks, ops.Where(op => op.Key.StartsWith("Skip", StringComparison.Ordinal)).Sum(op => op.Value));
        Assert.Empty(ops.Keys.Intersect(["Softmax", "Sqrt", "Concat", "Sigmoid", "Tanh"]));
    }

    [Theory]
    [InlineData("gated_delta", "LinearAttention", "CausalConvWithState")]
    [InlineData("elu", "LinearAttention", "QuickGelu")]
    [InlineData("wide hybrid", "LinearAttention", "GroupQueryAttention")]
    [InlineData("wide windows", "Softmax", "GroupQueryAttention")]
    [InlineData("alibi", "Softmax", "SkipSimplifiedLayerNormalization")]
    [InlineData("rope_dynamic_ntk", "Softmax", "SimplifiedLayerNormalization")]
    [InlineData("rope", "Softmax", "RotaryEmbedding")]
    [InlineData("wide, turned before", "RotaryEmbedding", "GroupQueryAttention")]
    [InlineData("mlp gelu", "Softmax", "Gelu")]
    [InlineData("mlp gelu_tanh", "Softmax", "FastGelu")]
    public void A_layer_is_of_ONNX_Runtimes_operators_where_they_can_express_it(string kind, params string[] expected)
    {
        using var model = ModelOf(kind);
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, operators: OnnxOperators.Fused);
        Assert.Subset(Parsed().Graph.Node.Select(node => node.OpType).ToHashSet(), expected.ToHashSet());
    }

    [Fact]
    public void Weights_past_the_limit_lie_in_a_file_beside_and_are_the_same()
    {
        using var model = ModelOf("hybrid");
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, null, OnnxPrecision.F32, OnnxOperators.Standard, inlineLimit: 0);
        Assert.Contains(Parsed().Graph.Initializer, weight => weight.DataLocation == TensorProto.Types.DataLocation.External);
        var outside = Logits(Tokens(12, 3));
        OnnxFolder.Write(folder.Path, model.Config, model.Weights);
        Assert.False(File.Exists(ModelPath + "_data"));
        Assert.Equal(Logits(Tokens(12, 3)), outside);
    }

    [Theory]
    [InlineData(OnnxPrecision.Q8, OnnxOperators.Standard, 8, 1.0 / 128)]
    [InlineData(OnnxPrecision.Q4, OnnxOperators.Standard, 4, 1.0 / 8)]
    [InlineData(OnnxPrecision.Q8, OnnxOperators.Fused, 8, 1.0 / 128)]
    [InlineData(OnnxPrecision.Q4, OnnxOperators.Fused, 4, 1.0 / 8)]
    public void A_quantised_model_computes_with_the_weights_that_its_blocks_hold(
        OnnxPrecision precision, OnnxOperators operators, int bits, double step)
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Wide);
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, null, precision, operators);
        using (var scope = NewDisposeScope())
        using (var gradient = no_grad())
        {
            foreach (var (name, value) in model.Weights.Where(
                weight => weight.Name.EndsWith("_proj.weight", StringComparison.Ordinal) || weight.Name == "lm_head.weight"))
            {
                var rounded = MatMulNBitsWeight.Of(value, name == "lm_head.weight" ? 8 : bits).Dequantize();
                var greatest = value.abs().max().item<float>();
                Assert.True((rounded - value).abs().max().item<float>() <= step * greatest, name);
                value.copy_(rounded);
            }
        }
        // The numbers that the matrices multiply are rounded to 8 bits, too.
        var expected = Expected(model, Tokens(12, 3));
        AssertNear(expected, Logits(Tokens(12, 3)), 0.05 * expected.Max(Math.Abs), "logits");
        Assert.Contains(Parsed().Graph.Node, node => node.OpType == "MatMulNBits");
    }

    [Fact]
    public void A_weight_that_no_layer_asks_for_is_refused_by_its_name()
    {
        using var model = ModelOf("rope");
        var weights = model.Weights.Append(("model.layers.0.self_attn.sinks", zeros(4)));
        var error = Assert.Throws<InputException>(() => OnnxFolder.Write(folder["out"], model.Config, weights));
        Assert.StartsWith("model.layers.0.self_attn.sinks: no ONNX graph is known", error.Message);
        Assert.False(Directory.Exists(folder["out"]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(5000)]
    public void A_file_that_is_cut_short_is_refused(int length)
    {
        Write();
        using (var file = File.OpenWrite(ModelPath)) file.SetLength(length);
        Refused("model.onnx: ");
    }

    [Fact]
    public void A_file_of_something_else_is_refused()
    {
        Write();
        File.WriteAllText(ModelPath, "What is this?");
        Refused("model.onnx: ONNX Runtime cannot load it");
    }

    [Fact]
    public void Weights_that_are_missing_or_cut_short_are_refused()
    {
        using var model = ModelOf("rope");
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, null, OnnxPrecision.F32, OnnxOperators.Standard, inlineLimit: 0);
        using (var file = File.OpenWrite(ModelPath + "_data")) file.SetLength(file.Length - 5000);
        Refused("model.onnx: ONNX Runtime cannot load it");
        File.Delete(ModelPath + "_data");
        Refused("model.onnx: ONNX Runtime cannot load it");
    }

    [Fact]
    public void Inputs_and_outputs_of_other_names_are_refused()
    {
        Write();
        Change(model => Renamed(model, "position_ids", "token_type_ids"));
        Refused("model.onnx: its input token_type_ids is unknown");
        Write();
        Change(model => Renamed(model, "past_key_values.1.key", "past_key_values.7.key"));
        Refused("model.onnx: has no output present.7.key");
    }

    [Fact]
    public void A_vocabulary_other_than_the_configurations_is_refused()
    {
        using var model = ModelOf("rope");
        OnnxFolder.Write(folder.Path, model.Config, model.Weights);
        var config = File.ReadAllText(folder["config.json"]);
        File.WriteAllText(
            folder["config.json"], config.Replace("\"vocabulary_size\": 13", "\"vocabulary_size\": 14", StringComparison.Ordinal));
        Refused("model.onnx: its logits are not those of the 14 tokens that config.json says");
    }

    [Fact]
    public void A_folder_without_a_model_is_refused() => Refused("holds no onnx/model.onnx");

    private void Write()
    {
        using var model = ModelOf("rope");
        OnnxFolder.Write(folder.Path, model.Config, model.Weights);
    }

    private float[] Logits(int[] text)
    {
        using var onnx = OnnxInferenceModel.Open(folder.Path, threads: 1);
        using var state = onnx.NewState(1);
        return Read(onnx, state, text);
    }

    private void Refused(string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => OnnxInferenceModel.Open(folder.Path)).Message);

    private ModelProto Parsed() => ModelProto.Parser.ParseFrom(File.ReadAllBytes(ModelPath));

    private void Change(Action<ModelProto> change)
    {
        var model = Parsed();
        change(model);
        File.WriteAllBytes(ModelPath, model.ToByteArray());
    }

    private static void Renamed(ModelProto model, string name, string other)
    {
        model.Graph.Input.Single(input => input.Name == name).Name = other;
        foreach (var node in model.Graph.Node)
            for (var at = 0; at < node.Input.Count; at++)
                if (node.Input[at] == name) node.Input[at] = other;
    }
}
