using System.Diagnostics;
using Transformer.Cli;

namespace Transformer.Tests.EndToEnd;

public sealed class SignalTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public void Ctrl_C_saves_the_run_which_then_goes_on()
    {
        using var run = Command.Start(
            here.Folder, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=1000000",
            "--set", "training.checkpoint_every=1000000");
        run.Until(() => here.Steps("run") > 5);
        run.CtrlC();
        var (code, output, error) = run.Wait();

        Assert.Equal((CommandLine.Interrupted, ""), (code, output));
        Assert.Matches(@"interrupted; saved\. Continue with: dotnet \S+Transformer\.Cli\.dll train --resume run\n$", error);
        var steps = here.Steps("run");
        Assert.True(Directory.Exists(here[$"run/checkpoints/step-{steps}"]), error);

        using var resumed = Command.Start(here.Folder, "train", "--resume", "run");
        resumed.Until(() => here.Steps("run") > steps);
        Assert.Equal(Enumerable.Range(1, steps + 1), here.Metrics("run").Take(steps + 1).Select(line => line["step"]!.GetValue<int>()));
    }

    [Fact]
    public void A_second_Ctrl_C_ends_at_once()
    {
        // A step of minutes, which the first signal waits for.
        using var run = Command.Start(here.Folder, "train", "tiny.yaml", "--out", "run", "--set", "training.gradient_accumulation=200000");
        run.Until(() => File.Exists(here["run/metrics.jsonl"]));
        Thread.Sleep(4000);    // nothing shows when the step begins; long enough for a busy machine
        run.CtrlC();
        Thread.Sleep(500);    // time enough to end, which it must not
        Assert.False(run.HasExited);

        var watch = Stopwatch.StartNew();
        run.CtrlC();
        Assert.Equal(CommandLine.Interrupted, run.Wait().Code);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 5);
    }

    [Fact]
    public async Task Ctrl_C_ends_a_text_with_what_there_is()
    {
        await here.Train("run", "--set", "training.steps=1");
        using var text = Command.Start(here.Folder, "generate", "run", "--prompt", "line", "--max-tokens", "1000000000");
        text.Until(() => text.Output.Count(character => character == '\n') > 2);
        text.CtrlC();
        var (code, output, error) = text.Wait();

        Assert.Equal(CommandLine.Interrupted, code);
        Assert.StartsWith("line", output);
        Assert.Matches("^The context of 16 tokens is full: slide dropped [0-9]+ tokens.$", error.Trim());
    }
}
