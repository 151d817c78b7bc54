using System.Globalization;
using TorchSharp;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

public sealed class MemoryTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public void A_thousand_steps_with_all_that_a_run_does_leave_no_live_tensor_behind()
    {
        var config = ConfigFile.Load(here["tiny.yaml"],
            [$"data.path={here["corpus.txt"]}", "training.steps=1000", "training.sample_every=200", "training.evaluate_every=100",
                "training.checkpoint_every=250", "training.ema_decay=0.99"]);
        var live = new List<long>();
        using var trainer = Trainer.Start(config, here["run"], happened =>
        {
            if (happened is TrainingEvent.Stepped) live.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        });

        trainer.Run(TestContext.Current.CancellationToken);

        Assert.Equal(1000, live.Count);
        Assert.All(live.Skip(1), count => Assert.Equal(live[1], count));
    }

    [Fact]
    public void A_thousand_steps_leave_the_process_as_large_as_it_was()
    {
        Assert.SkipUnless(File.Exists("/proc/self/status"), "Only Linux tells the size of another process in a file.");
        const int WarmUp = 1500, Measured = 1000, Windows = 3;
        const double MebibytesAllowed = 2;    // a tensor of 2 KiB that every step leaves behind would show
        using var run = Command.Start(
            here.Folder, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=1000000", "--set", "training.evaluate_every=100");
        var sizes = new List<double>();
        for (var window = 0; window <= Windows; window++)
        {
            run.Until(() => here.Steps("run") >= WarmUp + window * Measured);
            sizes.Add(Mebibytes(run.Id));
        }

        // A leak shows in every window; garbage that is not collected yet, or freed memory that is not returned, only in some.
        var growth = sizes.Zip(sizes.Skip(1), (before, after) => after - before).Min();
        Assert.True(
            growth < MebibytesAllowed, $"grew with every {Measured} steps: {string.Join(", ", sizes.Select(size => $"{size:f1}"))} MiB");
    }

    // The resident memory that is neither a file nor shared.
    private static double Mebibytes(int process)
    {
        var line = File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024;
    }
}
