using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Inference.Torch;
using Transformer.Tests.Formats.Gguf;

namespace Transformer.Tests.EndToEnd;

public sealed class ChatTemplateTests : IDisposable
{
    private const string Template = "{{ bos_token }}{% for message in messages %}\r\n<|\"{{ message['role'] }}\"|>\t{{ " +
        "message['content'] | trim }} – é😀\\n{% endfor %}\n";

    private readonly Workplace here = new();

    public ChatTemplateTests()
    {
        using var imported = ModelImport.Import(Golden.PathOf("stories260k/stories260K.bin"));
        HuggingFaceFolder.Write(here["source"], imported.Model, imported.Tensors.Values, GgufModelTests.Stories());
    }

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("file")]
    [InlineData("config")]
    [InlineData("several")]
    [InlineData("file beside config")]
    public async Task A_template_goes_from_format_to_format_letter_by_letter(string where)
    {
        var config = new JsonObject { ["bos_token"] = "<s>", ["chat_template"] = Template };
        if (where == "several")
            config["chat_template"] = new JsonArray(
                new JsonObject { ["name"] = "tool_use", ["template"] = "other" },
                new JsonObject { ["name"] = "default", ["template"] = Template });
        if (where == "file beside config") config["chat_template"] = "older";
        if (where != "file") here.Write("source/tokenizer_config.json", config.ToJsonString());
        if (where.StartsWith("file", StringComparison.Ordinal)) here.Write("source/chat_template.jinja", Template);

        await Done("import", here["source"], "--out", here["checkpoint"]);
        Assert.Equal(Template, File.ReadAllText(here["checkpoint/chat_template.jinja"]));

        await Done("export", here["checkpoint"], "--format", "safetensors", "--out", here["folder"]);
        Assert.Equal(Template, File.ReadAllText(here["folder/chat_template.jinja"]));

        await Done("export", here["folder"], "--format", "gguf", "--out", here["model.gguf"]);
        using (var file = GgufFile.Open(here["model.gguf"])) Assert.Equal(Template, file.Metadata["tokenizer.chat_template"]);

        await Done("export", here["model.gguf"], "--format", "onnx", "--out", here["onnx"]);
        Assert.Equal(Template, File.ReadAllText(here["onnx/chat_template.jinja"]));

        await Done("import", here["model.gguf"], "--out", here["again"]);
        using var loaded = LoadedModel.Open(here["again"]);
        Assert.Equal(Template, loaded.ChatTemplate);
    }

    [Fact]
    public async Task A_model_without_a_template_gets_none()
    {
        here.Write("source/tokenizer_config.json", """{"chat_template": [{"name": "rag", "template": "other"}]}""");
        await Done("import", here["source"], "--out", here["checkpoint"]);
        await Done("export", here["checkpoint"], "--format", "gguf", "--out", here["model.gguf"]);
        await Done("export", here["checkpoint"], "--format", "onnx", "--out", here["onnx"]);
        Assert.Empty(Directory.GetFiles(here.Folder, "chat_template*", SearchOption.AllDirectories));
        using var file = GgufFile.Open(here["model.gguf"]);
        Assert.DoesNotContain("tokenizer.chat_template", file.Metadata.Keys);
    }

    [Theory]
    [InlineData("tokenizer_config.json", """{"chat_template": 7}""", "chat_template: found 7, expected a string")]
    [InlineData("tokenizer_config.json", """{"chat_template": [{"name": "default"}]}""", "template: missing")]
    [InlineData("tokenizer_config.json", "{", "not valid JSON")]
    [InlineData("chat_template.jinja", "\u00e9", "expected a chat template in UTF-8")]    // written in Latin-1
    public void What_is_no_template_is_refused(string file, string text, string expected)
    {
        File.WriteAllBytes(here[$"source/{file}"], System.Text.Encoding.Latin1.GetBytes(text));
        Assert.Contains(expected, Assert.Throws<InputException>(() => ModelImport.Import(here["source"])).Message);
    }

    private static async Task Done(params string[] arguments)
    {
        var (code, _, error) = await Workplace.Request(arguments);
        Assert.True(code == 0, error);
    }
}
