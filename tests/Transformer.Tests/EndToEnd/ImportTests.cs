using System.Text.Json.Nodes;

namespace Transformer.Tests.EndToEnd;

/// <summary>What is imported is opened by the other verbs, and keeps what ends a text; what does not fit is refused.</summary>
public sealed class ImportTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("no-lm-head")]
    [InlineData("extra-qk-norm")]
    [InlineData("extra-tensors")]
    [InlineData("gpt2-without-biases")]
    public async Task A_model_whose_tensors_are_not_all_of_its_own_is_refused_before_anything_is_written(string fault)
    {
        var (code, _, error) = await Workplace.Request("import", Golden.PathOf($"faults/import-{fault}"), "--out", here["model"]);
        Assert.Equal(2, code);
        Assert.Contains("not fit this model", error);
        Assert.False(Path.Exists(here["model"]));
        Assert.Empty(here.HalfWritten());
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("generation_config.json")]
    [InlineData("tokenizer_config.json")]
    public async Task A_text_ends_where_any_of_the_files_says_so(string only)
    {
        Directory.CreateDirectory(here["source"]);
        foreach (var file in Directory.GetFiles(Golden.PathOf("faults/eos-passed-over")).Select(Path.GetFileName))
        {
            File.Copy(Golden.PathOf($"faults/eos-passed-over/{file}"), here[$"source/{file}"]);
            if (file == only || file is not ("config.json" or "generation_config.json" or "tokenizer_config.json")) continue;
            var json = JsonNode.Parse(File.ReadAllText(here[$"source/{file}"]))!.AsObject();
            foreach (var key in (string[])["eos_token_id", "bos_token_id", "eos_token"]) json.Remove(key);
            File.WriteAllText(here[$"source/{file}"], json.ToJsonString());
        }
        await Done("import", here["source"], "--out", here["model"]);
        await Ends("model");
        await Done("export", here["model"], "--format", "gguf", "--out", here["model.gguf"]);
        await Ends("model.gguf");
        await Done("export", here["model.gguf"], "--format", "safetensors", "--out", here["folder"]);
        await Ends("folder");
        await Done("export", here["folder"], "--format", "onnx", "--out", here["onnx"]);
        await Ends("onnx");
    }

    [Fact]
    public async Task Added_tokens_go_from_format_to_format()
    {
        await Done("import", Golden.PathOf("faults/added-tokens"), "--out", here["model"]);
        await Done("export", here["model"], "--format", "safetensors", "--out", here["folder"]);
        await Done("export", here["folder"], "--format", "gguf", "--out", here["model.gguf"]);
        await Done("import", here["model.gguf"], "--out", here["again"]);
        foreach (var name in (string[])["model", "folder", "again"])
        {
            var tokenizer = Transformer.Formats.TokenizerFolder.Read(here[name]);
            Assert.Equal([257, 256, 258], tokenizer.Encode("<|im_start|>hi<|im_end|>"));
            Assert.Equal([256, 259, 256], tokenizer.Encode("hi    hi"));
            Assert.Equal([258], tokenizer.EndTokens);
        }
    }

    private async Task Ends(string model)
    {
        var output = await Done("generate", here[model], "--prompt", "the", "--greedy", "--max-tokens", "20", "--json");
        Assert.DoesNotContain("</s>", output);
        Assert.Contains("end_of_text", output);
    }

    private static async Task<string> Done(params string[] request)
    {
        var (code, output, error) = await Workplace.Request(request);
        Assert.True(code == 0, error);
        return output;
    }
}
