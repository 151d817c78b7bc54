using Transformer.Cli;

namespace Transformer.Tests.EndToEnd;

/// <summary><c>train --open</c>, with a stand-in for the program that opens pages.</summary>
public sealed class LivePageTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public void The_page_is_live_from_the_first_step_until_Ctrl_C_and_then_holds_the_whole_run()
    {
        using var run = Start("""echo "$1" > opened""", "--set", "training.steps=1000000", "--set", "training.checkpoint_every=1000000");
        run.Until(() => File.Exists(here["opened"]) && here.Steps("run") > 5);
        Assert.Equal($"{here["run/report.html"]}\n", File.ReadAllText(here["opened"]));
        Assert.Contains("""{"live":true,""", Page);

        // written again, some seconds later
        run.Until(() => !Page.Contains(""","training":{"step":[]""", StringComparison.Ordinal));
        run.CtrlC();
        Assert.Equal(CommandLine.Interrupted, run.Wait().Code);
        Assert.Contains("""{"live":false,""", Page);
        Assert.Contains($"<td class=\"number\">{here.Steps("run"):n0} of 1,000,000</td>", Page);
    }

    [Fact]
    public void Without_a_browser_the_run_goes_on_and_its_numbers_are_those_without_a_page()
    {
        using var run = Start("exit 3");
        var (code, output, error) = run.Wait();
        Assert.Equal((CommandLine.Done, ""), (code, output));
        Assert.Contains($"warning: The page of the run: no browser could be started. Open {here["run/report.html"]} yourself.\n", error);
        Assert.Contains("""{"live":false,""", Page);

        Command.Run(here.Folder, "train", "tiny.yaml", "--out", "plain");
        Assert.Equal(Losses("plain"), Losses("run"));
    }

    [Fact]
    public void A_page_that_cannot_be_written_is_one_warning()
    {
        Directory.CreateDirectory(here["run/report.html/in the way"]);
        using var run = Start("exit 0");
        var (code, _, error) = run.Wait();
        Assert.Equal(CommandLine.Done, code);
        Assert.Single(error.Split('\n'), line => line.StartsWith("warning: The page of the run:", StringComparison.Ordinal));
    }

    private string Page => File.ReadAllText(here["run/report.html"]);

    private Command Start(string opener, params string[] arguments)
    {
        Directory.CreateDirectory(here["bin"]);
        foreach (var name in new[] { "xdg-open", "open" })
        {
            here.Write($"bin/{name}", $"#!/bin/sh\n{opener}\n");
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(here[$"bin/{name}"], (UnixFileMode)0b111_101_101);
        }
        return Command.StartInShell(
            here.Folder, ["env", "--default-signal=INT", $"PATH={here["bin"]}:{Environment.GetEnvironmentVariable("PATH")}"],
            ["train", "tiny.yaml", "--out", "run", "--open", .. arguments]);
    }

    private double[] Losses(string run) => [.. here.Metrics(run).Select(line => (double)line["train_loss"]!)];
}
