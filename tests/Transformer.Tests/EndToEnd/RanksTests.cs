using System.Diagnostics;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Tests.Distributed;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>Real processes of mpirun on this machine.</summary>
public sealed class RanksTests : IDisposable
{
    private static readonly string[] Options =
        ["--set", "model.dropout=0", "--set", "training.batch_size=6", "--set", "training.steps=20", "--set", "training.keep_checkpoints=9", "--set", "training.ema_decay=0.9"];

    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task Four_ranks_train_what_one_does_and_two_or_one_go_on_from_what_they_saved()
    {
        await here.Train("one", Options);
        Succeeds(Command.StartRanks(here.Folder, 4, ["train", "tiny.yaml", "--out", "run", "--set", "training.distributed.strategy=zero3", .. Options]));
        AssertAsOne("four ranks");
        Assert.Single(Directory.GetFiles(here["run"], "events.out.tfevents.*"));

        here.Write("run/checkpoints/latest", "step-10\n");
        Succeeds(Command.StartRanks(here.Folder, 2, "train", "--resume", "run"));
        AssertAsOne("two ranks from step 10 on");

        here.Write("run/checkpoints/latest", "step-10\n");
        Succeeds(Command.Start(here.Folder, "train", "--resume", "run"));
        AssertAsOne("one rank from step 10 on");

        File.Delete(here["run/checkpoints/best"]);
        here.Write("run/checkpoints/latest", "step-10\n");
        var (code, text, error) = await Workplace.Request("generate", here["run"], "--prompt", "line", "--max-tokens", "5");
        Assert.True(code == 0 && text.StartsWith("line", StringComparison.Ordinal), error);
        Assert.Empty(here.HalfWritten());
    }

    [Fact]
    public void A_killed_rank_ends_the_job_within_30_seconds_and_the_next_start_goes_on()
    {
        using var run = Command.StartRanks(here.Folder, 2, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=1000000", "--set", "training.distributed.strategy=zero2");
        run.Until(() => here.Steps("run") > 12);
        using (var rank = Process.GetProcessById(run.Children.Max())) rank.Kill();
        var watch = Stopwatch.StartNew();
        var (code, _, error) = run.Wait();
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 30);
        Assert.NotEqual(0, code);
        Assert.Matches("rank [01]", error);

        var steps = here.Steps("run");
        using var next = Command.StartRanks(here.Folder, 2, "train", "--resume", "run");
        next.Until(() => here.Steps("run") > steps);
        Assert.Equal(Enumerable.Range(1, steps + 1), here.Metrics("run").Take(steps + 1).Select(line => line["step"]!.GetValue<int>()));
    }

    [Fact]
    public void A_rank_with_another_configuration_is_refused_by_name()
    {
        using var run = Command.StartRanks(here.Folder, 1, "train", "tiny.yaml", "--out", "run", ":", "train", "tiny.yaml", "--out", "run", "--set", "training.batch_size=3");
        var (code, output, error) = run.Wait();
        Assert.True(code != 0 && output.Length == 0, output);
        Assert.Contains("rank 1 has another configuration than rank 0: batch_size: 3, not batch_size: 2.", error);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public void Ranks_that_cannot_have_a_graphics_processor_each_are_told_so_once_and_nothing_is_written()
    {
        using var run = Command.StartRanks(here.Folder, 2, "train", "tiny.yaml", "--out", "run", "--device", "cuda:0");
        var (code, output, error) = run.Wait();
        Assert.True(code != 0 && output.Length == 0, output);
        Assert.Single(error.Split("--device cuda:0: each of several ranks takes the graphics processor of its number on its machine. Say cuda")[1..]);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public void A_rank_with_another_text_is_refused_by_name()
    {
        var config = ConfigFile.Load(here["tiny.yaml"], []);
        var failure = Assert.Throws<AgreedException>(() => Threads.Run(3, rank => Agreement.Check(rank, config, corpus: rank.Rank == 2 ? "b" : "a")));
        Assert.StartsWith("rank 2 has another text than rank 0", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_fails_on_one_rank_is_told_once_and_known_to_all()
    {
        var messages = new string?[3];
        Threads.Run(3, rank =>
        {
            try
            {
                rank.Together(() => rank.Rank > 0 ? throw new InputException("no such file") : true);
            }
            catch (AgreedException e)
            {
                messages[rank.Rank] = e.Message;
                if (rank.Rank == 1) Assert.Equal(CommandLine.Refused, CommandLine.Describe(e).Code);
            }
        });
        Assert.Equal(["", "rank 1: no such file", ""], messages);
    }

    [Fact]
    public async Task Muon_is_not_sharded()
    {
        var (code, _, error) = await here.Train("run", "--set", "training.optimizer={kind: muon, learning_rate: 1.0e-2}", "--set", "training.distributed.strategy=zero1");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("training.distributed.strategy: a shard ends in the middle of matrices, which muon needs whole", error);
    }

    private static void Succeeds(Command command)
    {
        using (command)
        {
            var (code, output, error) = command.Wait();
            Assert.True(code == 0, $"{output}\n{error}");
        }
    }

    private void AssertAsOne(string what)
    {
        var (one, run) = (here.Metrics("one"), here.Metrics("run"));
        Assert.Equal(one.Length, run.Length);
        foreach (var name in new[] { "train_loss", "validation_loss" })
            for (var step = 0; step < one.Length; step++)
                if (one[step][name] is { } loss) Near.Equal(loss.GetValue<double>(), run[step][name]!.GetValue<double>(), 1e-3, $"{what}: {name} of step {step + 1}");
    }
}
