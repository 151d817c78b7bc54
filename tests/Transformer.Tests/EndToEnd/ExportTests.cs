using System.Text.Json.Nodes;
using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tests.Formats.Gguf;
using Transformer.Tests.Inference.Cpu.Vision;
using static TorchSharp.torch;

namespace Transformer.Tests.EndToEnd;

public sealed class ExportTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("gguf", "f32", 0, 32)]
    [InlineData("gguf", "f16", 0.01, 32)]
    [InlineData("gguf", "q8", 0.05, 24)]
    [InlineData("gguf", "q4", 0.5, 8)]
    [InlineData("safetensors", "f32", 0, 32)]
    [InlineData("safetensors", "f16", 0.01, 32)]
    [InlineData("onnx", "f32", 1e-4, 32)]
    [InlineData("onnx", "q8", 0.05, 24)]
    [InlineData("onnx", "q4", 0.5, 8)]
    public async Task An_exported_model_is_read_back_and_measured(string format, string precision, double share, int alike)
    {
        SaveStories("stories");
        here.Write("text.txt", File.ReadAllText(Golden.PathOf("stories260k/greedy_200_tokens.txt")));

        var (code, output, error) = await Workplace.Request(
            "export", here["stories"], "--format", format, "--out", here["out"] + (format == "gguf" ? ".gguf" : ""),
            "--quantize", precision, "--evaluate", here["text.txt"], "--json");

        Assert.True(code == 0, error);
        var result = JsonNode.Parse(output)!;
        Near.Equal(0, (double)result["greatest_share"]!, share, "share");
        Assert.Equal(32, (int)result["greedy_tokens"]!);
        Assert.InRange((int)result["greedy_alike"]!, alike, 32);
        Near.Equal(
            (double)result["bits_per_byte_before"]!, (double)result["bits_per_byte_after"]!, share == 0 ? 0 : share, "bits per byte");
        Assert.Contains("read back: logits differ by", error);
    }

    [Theory]
    [InlineData("gguf", 40, true)]
    [InlineData("onnx", 40, true)]
    [InlineData("gguf", 32, false)]
    public async Task Where_nothing_can_be_quantized_this_is_told(string format, int width, bool isTold)
    {
        manual_seed(1337);
        using var model = new TransformerModel(Tiny.Config with { Width = width, Mlp = new SwiGluMlpConfig { Hidden = 40 } });
        CheckpointFolder.Save(here["model"], model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));
        var (code, _, error) = await Workplace.Request(
            "export", here["model"], "--format", format, "--out", here["out"] + (format == "gguf" ? ".gguf" : ""), "--quantize", "q8");
        Assert.True(code == 0, error);
        const string Note = "nothing was quantized: a block holds 32 weights, and no row length (40) is a multiple of that";
        Assert.Equal(isTold, error.Contains(Note));
    }

    [Theory]
    [InlineData("gguf")]
    [InlineData("safetensors")]
    public async Task A_GPT_2_goes_the_same_ways(string format)
    {
        manual_seed(1337);
        using var model = new TransformerModel(GgufModelTests.Expressible["gpt2"]);
        CheckpointFolder.Save(here["gpt2"], model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));
        var (code, output, error) = await Workplace.Request(
            "export", here["gpt2"], "--format", format, "--out", here["out"] + (format == "gguf" ? ".gguf" : ""), "--json");
        Assert.True(code == 0, error);
        Assert.Equal(0, (double)JsonNode.Parse(output)!["greatest_difference"]!);
    }

    [Fact]
    public async Task A_file_is_read_wherever_a_model_is()
    {
        SaveStories("stories");
        await Workplace.Request("export", here["stories"], "--format", "gguf", "--out", here["s.gguf"]);
        var known = await Workplace.Request("generate", here["stories"], "--prompt", "Once", "--greedy", "--max-tokens", "20");
        Assert.Equal(known, await Workplace.Request("generate", here["s.gguf"], "--prompt", "Once", "--greedy", "--max-tokens", "20"));

        var (code, _, error) = await Workplace.Request("import", here["s.gguf"], "--out", here["again"]);
        Assert.True(code == 0, error);
        Assert.Equal(known, await Workplace.Request("generate", here["again"], "--prompt", "Once", "--greedy", "--max-tokens", "20"));
    }

    [Theory]
    [InlineData("standard")]
    [InlineData("fused")]
    public async Task An_ONNX_folder_writes_and_is_measured_as_the_model_that_it_was_made_of(string operators)
    {
        SaveStories("stories");
        var made = await Workplace.Request(
            "export", here["stories"], "--format", "onnx", "--out", here["onnx"], "--operators", operators, "--json");
        Assert.True(made.Code == 0, made.Error);
        Assert.Equal(32, (int)JsonNode.Parse(made.Output)!["greedy_alike"]!);
        string[] writing = ["--prompt", "Once upon a time", "--greedy", "--max-tokens", "60"];
        Assert.Equal(
            await Workplace.Request(["generate", here["stories"], .. writing]),
            await Workplace.Request(["generate", here["onnx"], .. writing]));

        here.Write("text.txt", File.ReadAllText(Golden.PathOf("stories260k/greedy_200_tokens.txt")));
        var (code, output, error) = await Workplace.Request(
            "evaluate", here["stories"], here["onnx"], "--data", here["text.txt"], "--json");
        Assert.True(code == 0, error);
        Near.Equal((double)JsonNode.Parse(output)![0]!["loss"]!, (double)JsonNode.Parse(output)![1]!["loss"]!, 1e-5, "loss");
    }

    [Theory]
    [InlineData("gguf", "model.vision: GGUF's llama cannot express it")]
    [InlineData("safetensors", "model.vision: Hugging Face's Llama or Qwen 3 cannot express it")]
    [InlineData("onnx", "model.vision.kind: the ONNX graphs know none, not ")]
    public async Task A_model_that_reads_pictures_is_refused_by_name_before_anything_is_written(string format, string reason)
    {
        foreach (var kind in (string[])["prefix, linear", "cross, linear"])
        {
            using var model = VisionCases.Model(VisionCases.Models[kind] with { Attention = new SoftmaxAttentionConfig { Heads = 4 } });
            CheckpointFolder.Save(here[kind], model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));
            var path = here["out"] + (format == "gguf" ? ".gguf" : "");
            var (code, output, error) = await Workplace.Request("export", here[kind], "--format", format, "--out", path);
            Assert.Equal((CommandLine.Refused, ""), (code, output));
            Assert.Contains(reason, error);
            Assert.False(Path.Exists(path));
            Assert.Empty(here.HalfWritten());
        }
    }

    // Weights beyond what 16 bits hold become infinite.
    [Fact]
    public async Task A_file_that_is_not_the_model_any_more_is_removed()
    {
        manual_seed(1337);
        using var model = new TransformerModel(Tiny.Config);
        using (no_grad()) model.Weight("model.layers.0.mlp.down_proj.weight").mul_(1e9);
        CheckpointFolder.Save(here["wild"], model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));

        var (code, _, error) = await Workplace.Request(
            "export", here["wild"], "--format", "gguf", "--out", here["w.gguf"], "--quantize", "f16");
        Assert.Equal(1, code);
        Assert.Contains("the file was deleted", error);
        Assert.False(File.Exists(here["w.gguf"]));
        Assert.Equal(0, (await Workplace.Request(
            "export", here["wild"], "--format", "gguf", "--out", here["w.gguf"], "--quantize", "f16", "--verify", "false")).Code);
        Assert.True(File.Exists(here["w.gguf"]));
    }

    [Theory]
    [InlineData("--format onxx --out HERE/new", "--format: found onxx, expected")]
    [InlineData("--format gguf --out HERE/new --quantize q5", "--quantize: found q5, expected f32, f16, q8 or q4.")]
    [InlineData("--format gguf --out HERE/stories", "already exists")]
    [InlineData("--format gguf --out HERE/nowhere/new.gguf", "cannot be written")]
    [InlineData("--format safetensors --out HERE/new --quantize q8", "safetensors has no blocks")]
    [InlineData("--format gguf --out HERE/new", "expected a name that ends with .gguf")]
    [InlineData("--format gguf --out HERE/new --evaluate HERE/none.txt", "none.txt: no such file")]
    [InlineData("--format onnx --out HERE/new --operators fast", "--operators: found fast, expected standard or fused")]
    [InlineData("--format gguf --out HERE/new.gguf --operators fused", "--operators: --format gguf holds weights and no operators")]
    [InlineData("--format onnx --out HERE/new --quantize f16", "ONNX Runtime computes in float32 on a CPU")]
    public async Task A_request_that_makes_no_sense_ends_with_2_and_writes_nothing(string line, string message)
    {
        SaveStories("stories");
        var (code, output, error) = await Workplace.Request(["export", here["stories"], .. line.Replace("HERE", here.Folder).Split(' ')]);
        Assert.Equal((2, ""), (code, output));
        Assert.Contains(message, error);
        Assert.False(Path.Exists(here["new"]));
    }

    [Fact]
    public async Task A_text_that_the_model_cannot_read_is_refused_before_anything_is_written()
    {
        using var model = new TransformerModel(Tiny.Config);
        CheckpointFolder.Save(here["letters"], model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));
        here.Write("text.txt", "abcz");
        var (code, _, error) = await Workplace.Request(
            "export", here["letters"], "--format", "safetensors", "--out", here["new"], "--evaluate", here["text.txt"]);
        Assert.Equal(2, code);
        Assert.Contains("'z'", error);
        Assert.False(Path.Exists(here["new"]));
    }

    private void SaveStories(string name)
    {
        using var stories = ModelImport.Import(Golden.PathOf("stories260k/stories260K.bin"));
        CheckpointFolder.Save(here[name], stories.Model, stories.Tensors.Values, GgufModelTests.Stories());
    }
}
