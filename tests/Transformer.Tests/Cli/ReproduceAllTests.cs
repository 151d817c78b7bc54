using System.CommandLine;
using System.Text.Json.Nodes;
using Transformer.Cli;
using Transformer.Reproductions;
using Transformer.Tests.Reproductions;

namespace Transformer.Tests.Cli;

public sealed class ReproduceAllTests
{
    [Fact]
    public async Task All_rows_are_run_judged_and_written_and_the_exit_code_tells_whether_one_broke()
    {
        using var temporary = new TemporaryFolder();
        var rows = new[] { Row("good", 1), Row("bad", 3) };
        var run = await Run(rows, temporary["out"], "--json");
        Assert.Equal(CommandLine.Failed, run.Code);
        Assert.Equal((1, 1), ((int)run.Json["held"]!, (int)run.Json["broke"]!));
        var good = run.Json["rows"]![0]!;
        Assert.Equal(
            ["name", "paper", "claim", "seed", "figures", "core_seconds", "failure", "holds"], good.AsObject().Select(pair => pair.Key));
        Assert.Equal(
            ["what", "published", "bound", "ours", "holds"], good["figures"]![0]!.AsObject().Select(pair => pair.Key));
        Assert.Equal(("good", 1.0, true), ((string)good["name"]!, (double)good["figures"]![0]!["ours"]!, (bool)good["holds"]!));
        Assert.True(JsonNode.DeepEquals(run.Json, JsonNode.Parse(File.ReadAllText(Path.Combine(temporary["out"], "results.json")))));
        Assert.Contains("broken: bad", run.Error);

        var page = File.ReadAllText(Path.Combine(temporary["out"], "results.md"));
        Assert.Contains("| good | Nobody 2020 | 1337 | sum | small | at most 2 | 1 | ok |", page);
        Assert.Contains("| bad | Nobody 2020 | 1337 | sum | small | at most 2 | 3 | **BROKE** |", page);
        Assert.Matches(@"bad +sum +small +at most 2 +3 +BROKE", (await Run(rows, temporary["out"])).Output);
        Assert.Equal(CommandLine.Done, (await Run(rows[..1], temporary["out"])).Code);
    }

    [Fact]
    public async Task A_row_that_fails_stops_no_other_one_and_is_tried_again()
    {
        using var temporary = new TemporaryFolder();
        var calls = 0;
        var rows = new[]
        {
            TinyRow.Of("fails", Bound.AtMost(2), TinyRow.Computed("arm", _ => ++calls == 1 ? throw new IOException("no disk") : 1)),
            Row("good", 1),
        };
        var first = await Run(rows, temporary.Path);
        Assert.Equal(CommandLine.Failed, first.Code);
        Assert.Contains("fails: could not be run: no disk", first.Error);
        Assert.Matches("good +sum .* ok", first.Output);
        Assert.Equal(CommandLine.Done, (await Run(rows, temporary.Path)).Code);
    }

    [Fact]
    public async Task An_interruption_says_how_to_go_on_and_then_only_the_rest_is_run()
    {
        using var temporary = new TemporaryFolder();
        var (first, second) = (0, 0);
        var rows = new[]
        {
            TinyRow.Of("first", Bound.AtMost(2), TinyRow.Computed("arm", _ => ++first)),
            TinyRow.Of(
                "second", Bound.AtMost(2), TinyRow.Computed("arm", _ => ++second == 1 ? throw new OperationCanceledException() : second)),
        };
        var interrupted = await Run(rows, temporary.Path);
        Assert.Equal(CommandLine.Interrupted, interrupted.Code);
        Assert.Contains($"interrupted; saved. Continue with: ", interrupted.Error);
        Assert.Contains($"reproduce --all --out {temporary.Path}", interrupted.Error);
        Assert.Equal(CommandLine.Done, (await Run(rows, temporary.Path)).Code);
        Assert.Equal((1, 2), (first, second));
    }

    private static Reproduction Row(string name, double measure) =>
        TinyRow.Of(name, Bound.AtMost(2), TinyRow.Computed("arm", _ => measure));

    private static async Task<CliRun> Run(IReadOnlyList<Reproduction> rows, string folder, params string[] options)
    {
        var verb = new Command("reproduce") { SharedOptions.Json };
        verb.SetAction((request, cancellation) => ReproduceAll.RunAsync(
            rows, folder, jobs: 1, (row, _, stop) => Task.FromResult(row.Run(folder, cancellation: stop)), request, cancellation));
        var root = new Command("transformer") { verb, SharedOptions.Kinds, SharedOptions.Verbose };
        var (output, error) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" });
        var code = await CommandLine.RunAsync(root, ["reproduce", .. options], output, error);
        return new(code, output.ToString(), error.ToString());
    }
}
