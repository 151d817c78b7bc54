using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Runs;
using Transformer.Tests.Distributed;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>Real processes of mpirun on this machine.</summary>
public sealed class RanksTests : IDisposable
{
    private static readonly string[] Options =
        ["--set", "model.dropout=0", "--set", "training.batch_size=6", "--set", "training.steps=20", "--set", "training.keep_checkpoints=9",
            "--set", "training.ema_decay=0.9"];

    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task Four_ranks_train_what_one_does_and_two_or_one_go_on_from_what_they_saved()
    {
        await here.Train("one", Options);
        Succeeds(Command.StartRanks(
            here.Folder, 4, ["train", "tiny.yaml", "--out", "run", "--set", "training.distributed.strategy=zero3", .. Options]));
        AssertAsOne("four ranks");
        Assert.Single(Directory.GetFiles(here["run"], "events.out.tfevents.*"));

        var environment = JsonNode.Parse(File.ReadAllText(here["run/environment.json"]))!;
        Assert.Equal((4, "cpu"), ((int)environment["ranks"]!, (string)environment["device"]!));
        Assert.Matches(@"^Open MPI v\d+\.\d+\.\d+$", (string)environment["backend"]!);

        here.Write("run/checkpoints/latest", "step-10\n");
        var told = Succeeds(Command.StartRanks(here.Folder, 2, "train", "--resume", "run"));
        AssertAsOne("two ranks from step 10 on");
        Assert.Contains("warning: The last digits may differ from an uninterrupted run: ranks: 4 before, 2 now.", told);

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
        var (code, error, _) = EndsAfter(rank =>
        {
            using var process = Process.GetProcessById(rank);
            process.Kill();
        });
        Assert.NotEqual(0, code);
        Assert.Matches("rank [01]", error);
        GoesOn();
    }

    [Fact]
    public void A_rank_that_hangs_is_named_with_its_step_and_ends_the_job_within_30_seconds_and_the_next_start_goes_on()
    {
        var (code, error, steps) = EndsAfter(Command.Stop);
        Assert.Equal(CommandLine.Failed, code);
        var silence = Regex.Match(
            error,
            @"rank [01] has been silent for 25 s; its last report: [a-z ]*step (\d+)\. " +
            @"The job ends; its last checkpoint is complete\.");
        Assert.True(silence.Success, error);
        // it reports its step once per second
        Assert.InRange(int.Parse(silence.Groups[1].Value, CultureInfo.InvariantCulture), 1, steps + 1);
        GoesOn();
    }

    [Fact]
    public async Task Dropout_begins_anew_where_other_ranks_go_on_and_no_mask_comes_again()
    {
        // A step of this size changes no weight, so the loss identifies the dropout mask.
        string[] options =
        [
            "--set", "model.dropout=0.2", "--set", "training.batch_size=2", "--set", "training.steps=15",
            "--set", "training.checkpoint_every=5", "--set", "training.keep_checkpoints=9",
            "--set", "training.optimizer.learning_rate=1.0e-30", "--overfit-one-batch",
        ];
        await here.Train("run", options);
        var one = Losses();
        here.Write("run/checkpoints/latest", "step-5\n");
        Succeeds(Command.StartRanks(here.Folder, 2, "train", "--resume", "run"));
        var two = Losses()[5..];
        here.Write("run/checkpoints/latest", "step-10\n");
        await Workplace.Request("train", "--resume", here["run"]);
        var again = Losses()[10..];
        here.Write("run/checkpoints/latest", "step-10\n");
        await Workplace.Request("train", "--resume", here["run"]);

        Assert.Equal(30, one.Concat(two).Concat(again).Distinct().Count());
        Assert.Equal(again, Losses()[10..]);

        double[] Losses() => [.. here.Metrics("run").Select(line => line["train_loss"]!.GetValue<double>())];
    }

    // The arguments after the colon are rank 1's.
    [Theory]
    [InlineData("--bogus: unknown option", "train tiny.yaml --out run --bogus")]
    [InlineData("rank 1: --bogus: unknown option", "train tiny.yaml --out run : train tiny.yaml --out run --bogus")]
    [InlineData("nothing.yaml: no such file or recipe", "train nothing.yaml --out run")]
    [InlineData("2 heads do not divide width 17", "train tiny.yaml --out run --set model.width=17")]
    [InlineData(
        "training.parameters: no parameter is called head*",
        "train tiny.yaml --out run --set training.parameters=[{\"pattern\":\"head*\",\"frozen\":true}]")]
    [InlineData("corpus.txt/run: cannot be written", "train tiny.yaml --out corpus.txt/run")]
    [InlineData("--threads: found 0, expected a whole number from 1 to", "train tiny.yaml --out run --threads 0")]
    [InlineData("run: no run there", "train --resume run")]
    [InlineData(
        "rank 1 has another configuration than rank 0: batch_size: 3, not batch_size: 2.",
        "train tiny.yaml --out run : train tiny.yaml --out run --set training.batch_size=3")]
    [InlineData(
        "rank 1 was started to generate, rank 0 to train. Give all ranks the same verb.", "train tiny.yaml --out run : generate run")]
    [InlineData("rank 1 has another text than rank 0", "train tiny.yaml --out run : train tiny.yaml --out run --set data.path=other.txt")]
    public void What_is_asked_wrongly_is_told_once_and_the_job_ends_with_the_code_of_it(string message, string arguments)
    {
        here.Write("other.txt", File.ReadAllText(here["corpus.txt"]).Replace("line 0", "line 1", StringComparison.Ordinal));
        using var run = Command.StartRanks(here.Folder, arguments.Contains(" : ", StringComparison.Ordinal) ? 1 : 2, arguments.Split(' '));
        var (code, output, error) = run.Wait();
        Assert.True(code == CommandLine.Refused && output.Length == 0, $"{code}\n{output}\n{error}");
        Assert.Equal(2, error.Split(message).Length);
        Assert.DoesNotContain("MPI_ABORT", error);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public void Ranks_that_cannot_have_a_graphics_processor_each_are_told_so_once_and_nothing_is_written()
    {
        using var run = Command.StartRanks(here.Folder, 2, "train", "tiny.yaml", "--out", "run", "--device", "cuda:0");
        var (code, output, error) = run.Wait();
        Assert.True(code != 0 && output.Length == 0, output);
        Assert.Single(
            error.Split("--device cuda:0: each of several ranks takes the GPU of its number on its machine. Say cuda")[1..]);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public void A_rank_of_another_version_is_refused_by_name()
    {
        var config = ConfigFile.Load(here["tiny.yaml"], []);
        var failure = Assert.Throws<CollectiveException>(
            () => Threads.Run(3, rank => RankConsistency.Check(rank, config, corpus: "a", version: rank.Rank == 2 ? "1.1" : "1.0")));
        Assert.Equal("rank 2 runs version 1.1, rank 0 1.0. Install the same one on all machines.", failure.Message);
    }

    [Fact]
    public void A_checkpoint_that_cannot_be_read_is_told_once_and_stays()
    {
        Succeeds(Command.StartRanks(here.Folder, 2, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=2"));
        here.Write("run/checkpoints/step-2/model.safetensors", "half");
        using var run = Command.StartRanks(here.Folder, 2, "train", "--resume", "run");
        var (code, _, error) = run.Wait();
        Assert.True(code == CommandLine.Refused, error);
        Assert.Equal(2, error.Split("step-2/model.safetensors: not a valid Safetensors file").Length);
        Assert.Equal("half", File.ReadAllText(here["run/checkpoints/step-2/model.safetensors"]));
    }

    [Fact]
    public void What_fails_on_one_rank_is_told_once_and_known_to_all()
    {
        var (messages, codes) = (new string?[3], new int[3]);
        Threads.Run(3, rank =>
        {
            try
            {
                rank.RunOnAll(() => rank.Rank > 0 ? throw new InputException("no such file") : true);
            }
            catch (CollectiveException e)
            {
                (codes[rank.Rank], messages[rank.Rank]) = CommandLine.Describe(e);
            }
        });
        Assert.Equal(["", "rank 1: no such file", ""], messages);
        Assert.Equal([CommandLine.Done, CommandLine.Refused, CommandLine.Done], codes);
    }

    [Fact]
    public async Task Muon_is_not_sharded()
    {
        var (code, _, error) = await here.Train(
            "run", "--set", "training.optimizer={kind: muon, learning_rate: 1.0e-2}", "--set", "training.distributed.strategy=zero1");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("training.distributed.strategy: a shard ends in the middle of matrices, which muon needs whole", error);
    }

    private static string Succeeds(Command command)
    {
        using (command)
        {
            var (code, output, error) = command.Wait();
            Assert.True(code == 0, $"{output}\n{error}");
            return error;
        }
    }

    // One of two ranks fails in the middle of a run.
    private (int Code, string Error, int Steps) EndsAfter(Action<int> misfortune)
    {
        using var run = Command.StartRanks(
            here.Folder, 2, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=1000000",
            "--set", "training.distributed.strategy=zero2");
        run.Until(() => here.Steps("run") > 12);
        run.Until(() => here.LastMetrics("run")["seconds"]!.GetValue<double>() > 3);    // each has reported its step by then
        misfortune(run.Children.Max());
        var watch = Stopwatch.StartNew();
        var (code, _, error) = run.Wait();
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 30);
        return (code, error, here.Steps("run"));
    }

    private void GoesOn()
    {
        var steps = here.Steps("run");
        using var next = Command.StartRanks(here.Folder, 2, "train", "--resume", "run");
        next.Until(() => here.Steps("run") > steps);
        Assert.Equal(Enumerable.Range(1, steps + 1), here.Metrics("run").Take(steps + 1).Select(line => line["step"]!.GetValue<int>()));
    }

    private void AssertAsOne(string what)
    {
        var (one, run) = (here.Metrics("one"), here.Metrics("run"));
        Assert.Equal(one.Length, run.Length);
        foreach (var name in new[] { "train_loss", "validation_loss" })
            for (var step = 0; step < one.Length; step++)
                if (one[step][name] is { } loss)
                    Near.Equal(loss.GetValue<double>(), run[step][name]!.GetValue<double>(), 1e-3, $"{what}: {name} of step {step + 1}");
    }
}
