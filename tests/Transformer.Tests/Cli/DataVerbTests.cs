using System.Text.Json.Nodes;
using SkiaSharp;
using Transformer.Data.Tasks;
using Transformer.Runs;
using Transformer.Tests.Data.Tasks;

namespace Transformer.Tests.Cli;

public sealed class DataVerbTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_prepared_folder_trains_and_evaluates_as_its_text_does()
    {
        var (prepared, run) = (folder["prepared"], folder["run"]);
        var text = folder.Write("text", string.Concat(Enumerable.Repeat("to be or not to be, that is the question. ", 30)));

        var made = await CliRun.Of("data", "prepare", text, "--out", prepared, "--set", "data.tokenizer.kind=byte", "--json");
        Assert.Equal(0, made.Code);
        Assert.Equal(
            (256, 1134, 126),
            ((int)made.Json["vocabulary_size"]!, (int)made.Json["training_tokens"]!, (int)made.Json["validation_bytes"]!));
        Assert.Contains("preparing 100 %", made.Error);
        Assert.Equal(made.Output, (await CliRun.Of("data", "info", prepared, "--json")).Output);

        var trained = await CliRun.Of(
            "train", "names", "--out", run, "--json", "--set", $"data.path={prepared}", "--set", "training.steps=2",
            "--set", "training.batch_size=2", "--set", "model.layers=1", "--set", "model.width=8");
        Assert.Equal(0, trained.Code);
        var evaluated = (await CliRun.Of("evaluate", run, "--json")).Json[0]!;
        Assert.Equal((double)trained.Json["validation_loss"]!, (double)evaluated["loss"]!, 1e-6);
        Assert.Equal((125, 125), ((int)evaluated["tokens"]!, (int)evaluated["bytes"]!));
    }

    [Fact]
    public async Task Drawn_pictures_and_rows_are_those_that_validate()
    {
        var drawn = folder["drawn"];
        var made = await CliRun.Of(
            "data", "draw", "copy", "--set", "data.task={kind: sort_of_clevr, validation_pictures: 5}", "--out", drawn, "--count", "9",
            "--json");
        Assert.Equal((0, 5, 100), (made.Code, (int)made.Json["pictures"]!, (int)made.Json["rows"]!));

        using var data = new TaskDataset(new SortOfClevrTaskConfig());
        var lines = File.ReadAllLines(Path.Combine(drawn, "rows.jsonl"));
        foreach (var (line, row) in lines.Zip(PictureRow.First(data, TaskSplit.Validation, lines.Length)))
        {
            var json = JsonNode.Parse(line)!;
            Assert.Equal(($"<image> {row.Text}", row.Answer), ((string)json["text"]!, (string)json["answer"]!));
            using var png = SKBitmap.Decode(Path.Combine(drawn, (string)json["images"]!.AsArray().Single()!));
            Assert.Equal(row.Picture.Pixels, png.Pixels.SelectMany(pixel => (byte[])[pixel.Red, pixel.Green, pixel.Blue]));
        }
        Assert.Equal(
            ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png", "rows.jsonl"],
            Directory.GetFiles(drawn).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("data draw copy --out x", "the task copy has no pictures, expected a task of kind sort_of_clevr or captioned_scenes")]
    [InlineData("data draw names --out x", "names: a text has no pictures")]
    [InlineData("data draw copy --set data.task={\"kind\":\"sort_of_clevr\",\"questions_at_once\":3} --out x", "expected a divisor of 20")]
    [InlineData("data draw copy --set data.task={\"kind\":\"sort_of_clevr\"} --out .", "name a new folder for the pictures")]
    [InlineData("data draw copy --out x --count 0", "--count: found 0")]
    [InlineData("data prepare builtin:namez --out x", "did you mean builtin:names?")]
    [InlineData("data prepare builtin:names --out . --set model.width=3", "expected a key under data")]
    [InlineData("data prepare builtin:names --out . --set data.tokenizr.kind=byte", "did you mean data.tokenizer?")]
    [InlineData("data prepare builtin:names --out .", "name a new folder")]
    [InlineData("data info .", "holds no token files")]
    [InlineData("data info nowhere", "no such folder")]
    public Task A_wrong_request_is_refused(string line, string message) => CliRun.Refuses(line, message);
}
