using Transformer.Cli;
using Transformer.Data.Images;

namespace Transformer.Tests.Cli;

/// <summary>From rows with pictures to a model that is asked about one, by the command line alone.</summary>
public sealed class PictureVerbsTests : IDisposable
{
    private const string Recipe = """
        model:
          width: 16
          context_length: 40
          layers: 1
          attention: {kind: softmax, heads: 2}
          vision: {kind: prefix, image: {size: 24}, patch: 8, encoder: {layers: 1, heads: 2}}
        data: {kind: image_text, path: rows.jsonl}
        training: {steps: 1, batch_size: 4, sample_tokens: 0, optimizer: {kind: adamw, learning_rate: 1.0e-3}}
        """;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_run_learns_from_rows_with_pictures_shows_their_names_and_answers_about_one()
    {
        Rows();
        var run = await Train("--set training.steps=3 --set training.sample_tokens=5");
        Assert.Equal((CommandLine.Done, ""), (run.Code, run.Code == CommandLine.Done ? "" : run.Error));
        Assert.Contains("[2.png]", await File.ReadAllTextAsync(folder["run/samples.txt"], TestContext.Current.CancellationToken));
        var answered = await CliRun.Of(
            "generate", folder["run"], "--image", folder["0.png"], "--prompt", "<image> what?", "--max-tokens", "4", "--greedy");
        Assert.Equal(CommandLine.Done, answered.Code);
        Assert.StartsWith("<image> what?", answered.Output);
        var before = await CliRun.Of(
            "generate", folder["run"], "--image", folder["0.png"], "--prompt", " what?", "--max-tokens", "4", "--greedy");
        Assert.Equal(answered.Output["<image>".Length..], before.Output);
        Assert.Equal(CommandLine.Done, (await CliRun.Of("evaluate", folder["run"])).Code);
    }

    [Theory]
    [InlineData("--prompt <image><image>", "found 2 <image>, but 1 pictures")]
    [InlineData("--prompt a --beams 2", "--image")]
    public async Task Pictures_and_prompt_must_agree(string options, string message)
    {
        Rows();
        await Train();
        await CliRun.Refuses($"generate {folder["run"]} --image {folder["0.png"]} {options}", message);
    }

    [Fact]
    public async Task A_model_of_text_alone_refuses_a_picture_and_a_file_that_is_none()
    {
        var text = folder.Write("text.txt", string.Concat(Enumerable.Repeat("what is it? ", 400)));
        var run = await CliRun.Of(
            $"train shakespeare-char --set data.path={text} --set training.steps=1 --set training.sample_tokens=0 --out {folder["text"]} "
                .Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(CommandLine.Done, run.Code);
        Rows();
        await CliRun.Refuses($"generate {folder["text"]} --image {folder["0.png"]} --prompt w", "reads text alone");
        Rows();
        await Train();
        await CliRun.Refuses($"generate {folder["run"]} --image {text} --prompt w", "expected a PNG or JPEG");
    }

    [Theory]
    [InlineData("{\"text\": \"<image> a\", \"images\": [], \"answer\": \"b\"}", "rows.jsonl:1: found 1 <image> in the text, but 0 images")]
    [InlineData("{\"text\": \"<image>\", \"images\": [\"none.png\"], \"answer\": \"b\"}", "none.png: no such file")]
    [InlineData("{\"text\": \"a\"}", "rows.jsonl:1: answer: missing")]
    [InlineData("{\"text\": \"a\", \"answer\": \"b\", \"label\": 3}", "rows.jsonl:1: label: unknown key")]
    [InlineData("[]", "rows.jsonl:1: found [], expected an object")]
    [InlineData("{", "rows.jsonl:1: is no JSON")]
    [InlineData("", "holds no rows")]
    public async Task A_wrong_line_is_named(string line, string message)
    {
        folder.Write("rows.jsonl", line + "\n");
        var run = await Train();
        Assert.Equal(CommandLine.Refused, run.Code);
        Assert.Contains(message, run.Error);
        Assert.False(Directory.Exists(folder["run"]));
    }

    [Fact]
    public async Task Rows_with_pictures_need_a_model_that_reads_them()
    {
        var run = await CliRun.Of([
            .. $"train shakespeare-char --set data.kind=image_text --set data.path={Rows()} --out {folder["run"]}".Split(' ')]);
        Assert.Equal(CommandLine.Refused, run.Code);
        Assert.Contains("its rows show pictures, and the model reads text alone", run.Error);
    }

    private Task<CliRun> Train(string more = "") => CliRun.Of([
        .. $"train {folder.Write("run.yaml", Recipe)} {more} --threads 1 --out {folder["run"]}"
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

    private string Rows()
    {
        for (var number = 0; number < 3; number++)
        {
            var pixels = Enumerable.Range(0, 30 * 20 * 3).Select(value => (byte)(value * (number + 3))).ToArray();
            PictureFile.Write(new Picture(30, 20, pixels), folder[$"{number}.png"]);
        }
        return folder.Write("rows.jsonl", """
            {"text": "<image> what?", "images": ["0.png"], "answer": "a"}
            {"text": "no picture", "answer": "none"}
            {"text": "<image> and <image>", "images": ["1.png", "0.png"], "answer": "two"}
            {"text": "<image> what?", "image": "1.png", "answer": "b"}
            {"text": "<image> what?", "image": "2.png", "answer": "c"}
            """);
    }
}
