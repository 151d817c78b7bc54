using Transformer.Cli;
using Transformer.Tests.EndToEnd;

namespace Transformer.Tests.Cli;

public sealed class ReportVerbTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task Runs_become_one_page_and_their_last_numbers_json()
    {
        await here.Train("first", "--set", "training.steps=20");
        await here.Train("second", "--set", "training.steps=10", "--set", "training.seed=2");
        var run = await CliRun.Of("report", here["first"], here["second"], "--out", here["page.html"], "--json");

        Assert.Equal((CommandLine.Done, $"{here["page.html"]}: 2 runs\n"), (run.Code, run.Error));
        Assert.Equal(here["page.html"], (string?)run.Json["out"]);
        var last = here.Metrics("second")[^1];
        var second = run.Json["runs"]![1]!;
        Assert.Equal(("second", 10), ((string?)second["name"], (int)second["steps"]!));
        Assert.Equal((double)last["validation_loss"]!, (double)second["validation_loss"]!);
        Assert.Equal(here.Metrics("second").Average(line => (double)line["train_loss"]!), (double)second["train_loss"]!, 1e-9);
        var page = File.ReadAllText(here["page.html"]);
        Assert.Contains("<title>first · second</title>", page);
        Assert.Contains("<tr><th scope=\"row\">training.seed</th><td class=\"number\">1337</td><td class=\"number\">2</td></tr>", page);
    }

    [Fact]
    public async Task A_page_needs_no_libtorch()
    {
        await here.Train("run", "--set", "training.steps=2");
        using var process = Command.StartInShell(here.Folder, ["env", "TRANSFORMER_LIBTORCH=/nowhere"], "report", "run");
        Assert.Equal((CommandLine.Done, "", "report.html: 1 run\n"), process.Wait());
    }
}
