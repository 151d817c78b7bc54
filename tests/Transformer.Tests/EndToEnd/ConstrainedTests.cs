using System.Text.Json.Nodes;
using Transformer.Formats;
using Transformer.Tokenization;

namespace Transformer.Tests.EndToEnd;

public sealed class ConstrainedTests : IDisposable
{
    private const string Schema = """
        {"type": "object", "required": ["name", "age"],
         "properties": {"name": {"type": "string", "pattern": "^[A-Z][a-z]{2,9}$"}, "age": {"enum": [1, 2, 3]}}}
        """;

    private readonly Workplace here = new();

    public ConstrainedTests()
    {
        using var imported = ModelImport.Import(Golden.PathOf("stories260k/stories260K.bin"));
        CheckpointFolder.Save(
            here["stories"], imported.Model, imported.Tensors.Values, LlamaTokenizer.FromLlama2C(Golden.PathOf("stories260k/tok512.bin")));
    }

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("none")]
    [InlineData("q8")]
    public async Task Samples_match_the_pattern(string quantize)
    {
        const string Pattern = "(She|He) was (very ){0,2}(happy|sad)\\.";
        var (code, output, error) = await Workplace.Request(
            "generate", here["stories"], "--prompt", "Once there was a girl. ", "--regex", Pattern, "--count", "4", "--quantize", quantize,
            "--json");
        Assert.True(code == 0, error);
        foreach (var sample in JsonNode.Parse(output)!["samples"]!.AsArray())
        {
            Assert.Matches($"^{Pattern}$", (string)sample!["text"]!);
            Assert.Equal("end_of_text", (string)sample["finish_reason"]!);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_schema_is_a_file_or_a_text(bool isFile)
    {
        here.Write("schema.json", Schema);
        var (code, output, error) = await Workplace.Request(
            "generate", here["stories"], "--json-schema", isFile ? here["schema.json"] : Schema, "--draft-tokens", "3");
        Assert.True(code == 0, error);
        var person = JsonNode.Parse(output)!;
        Assert.Matches("^[A-Z][a-z]{2,9}$", (string)person["name"]!);
        Assert.InRange((int)person["age"]!, 1, 3);
    }

    [Fact]
    public async Task A_text_that_is_cut_is_told()
    {
        var (code, _, error) = await Workplace.Request(
            "generate", here["stories"], "--prompt", "Once", "--regex", "[a-z ]{50}", "--max-tokens", "3");
        Assert.Equal(0, code);
        Assert.Contains("1 of 1 samples reached 3 tokens before the constraint ended them", error);
    }

    [Theory]
    [InlineData("--regex", "(a", "regex: position 0 of the pattern: '(' without ')'")]
    [InlineData(
        "--json-schema",
        """{"type": "object", "properties": {"a": {"type": "date"}}}""",
        "JSON schema: #/properties/a/type: found \"date\"")]
    [InlineData("--json-schema", "none.json", "none.json: cannot be read")]
    public async Task What_is_no_constraint_is_refused(string option, string value, string expected)
    {
        var (code, output, error) = await Workplace.Request("generate", here["stories"], option, value);
        Assert.Equal((2, ""), (code, output));
        Assert.Contains(expected, error);
        Assert.Contains(
            "leave one out", (await Workplace.Request("generate", here["stories"], "--regex", "a", "--json-schema", Schema)).Error);
    }
}
