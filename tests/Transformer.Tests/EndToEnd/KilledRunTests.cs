using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Transformer.Tests.EndToEnd;

public sealed class KilledRunTests : IDisposable
{
    private const int Kills = 10;
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    // Everything that has a state of its own: dropout, accumulated batches, momentum, averaged weights, samples.
    private const string Stateful =
        "training={steps: 60, batch_size: 2, gradient_accumulation: 2, ema_decay: 0.9, evaluate_every: 6, evaluate_batches: 2, " +
        "checkpoint_every: 3, sample_every: 5, sample_tokens: 20, optimizer: {kind: muon, learning_rate: 1.0e-2}}";

    [Fact]
    public void A_run_killed_at_ten_random_moments_ends_as_the_uninterrupted_one()
    {
        Assert.Equal(0, Command.Run(here.Folder, "train", "tiny.yaml", "--set", Stateful, "--out", "whole").Code);
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var moments = new List<string>();

        for (var kill = 0; kill < Kills; kill++)
        {
            using var run = Train(first: kill == 0);
            // Some moments fall into the start of the process, the others after some more steps.
            var (steps, delay) = kill % 4 == 3 ? (0, random.Next(1200)) : (here.Steps("killed") + random.Next(1, 12), random.Next(30));
            while (here.Steps("killed") < steps && !run.HasExited) Thread.Sleep(1);    // another process's files can only be polled
            Thread.Sleep(delay);    // the moment is what is random
            run.Kill();
            moments.Add($"{here.Steps("killed")} ({delay} ms after {steps})");
        }
        using var last = Train(first: false);
        var (code, _, error) = last.Wait();

        var told = $"seed {seed}, killed at steps {string.Join(", ", moments)}\n{error}";
        Assert.True(code == 0, told);
        foreach (var file in new[]
        {
            "checkpoints/step-60/model.safetensors", "checkpoints/step-60/training.safetensors", "checkpoints/best", "samples.txt",
        })
            Assert.True(
                File.ReadAllBytes(here[$"whole/{file}"]).SequenceEqual(File.ReadAllBytes(here[$"killed/{file}"])),
                $"{file} differs; {told}");
        Assert.True(Repeatable("whole").SequenceEqual(Repeatable("killed")), $"metrics differ; {told}");
        Assert.Equal(Enumerable.Range(1, 60), here.Metrics("killed").Select(line => line["step"]!.GetValue<int>()));
        Assert.Empty(here.HalfWritten());
    }

    [Fact]
    public async Task A_save_that_was_killed_between_its_two_renames_is_undone()
    {
        await here.Train("run", "--set", "training.steps=20");
        var weights = File.ReadAllBytes(here["run/checkpoints/step-20/model.safetensors"]);
        Directory.Move(here["run/checkpoints/step-20"], here["run/checkpoints/step-20.0123456789abcdef0123456789abcdef.replaced"]);
        Directory.CreateDirectory(here["run/checkpoints/step-20.0123456789abcdef0123456789abcdef.partial"]);
        here.Write("run/config.yaml.0123456789abcdef0123456789abcdef.partial", "mod");
        here.Write("run/notes.partial", "the user's own");

        var (code, _, error) = await Workplace.Request("train", "--resume", here["run"]);

        Assert.True(code == 0, error);
        Assert.Equal(weights, File.ReadAllBytes(here["run/checkpoints/step-20/model.safetensors"]));
        Assert.Equal([here["run/notes.partial"]], here.HalfWritten());
    }

    [Fact]
    public async Task Checkpoints_later_than_the_latest_are_made_anew()
    {
        await here.Train("run", "--set", "training.keep_checkpoints=9");
        var weights = File.ReadAllBytes(here["run/checkpoints/step-40/model.safetensors"]);
        here.Write("run/checkpoints/latest", "step-10\n");
        here.Write("run/checkpoints/step-40/model.safetensors", "half");

        var (code, _, error) = await Workplace.Request("train", "--resume", here["run"]);

        Assert.True(code == 0, error);
        Assert.Equal(weights, File.ReadAllBytes(here["run/checkpoints/step-40/model.safetensors"]));
        Assert.Equal(40, here.Steps("run"));
    }

    [Fact]
    public void Resuming_with_other_threads_warns()
    {
        Assert.Equal(0, Command.Run(here.Folder, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=2").Code);

        Assert.DoesNotContain("warning", Command.Run(here.Folder, "train", "--resume", "run").Error);
        Assert.Contains("warning: The last digits may differ from an uninterrupted run: threads: 1 before, 2 now.",
            Command.Run(here.Folder, "train", "--resume", "run", "--threads", "2").Error);
    }

    [Fact]
    public void A_resumed_run_keeps_the_threads_of_its_beginning()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.ProcessorCount > 1, "Takes env, and two threads to choose from.");
        Assert.Equal(0, Command.Run(here.Folder, "train", "tiny.yaml", "--out", "run", "--threads", "1", "--set", "training.steps=2").Code);

        using var resumed = Command.StartInShell(here.Folder, ["env", "-u", "OMP_NUM_THREADS"], "train", "--resume", "run");
        var (code, _, error) = resumed.Wait();
        Assert.Equal(0, code);
        Assert.DoesNotContain("warning: The last digits", error);
    }

    [Fact]
    public void A_new_run_records_the_threads_that_it_has_chosen()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Takes env.");
        using var run = Command.StartInShell(
            here.Folder, ["env", "-u", "OMP_NUM_THREADS"], "train", "tiny.yaml", "--out", "run", "--set", "training.steps=100");
        var (code, _, error) = run.Wait();
        Assert.Equal(0, code);
        var chosen = Regex.Match(error, @"^threads: (\d+) of", RegexOptions.Multiline);
        Assert.Equal(
            chosen.Success ? int.Parse(chosen.Groups[1].Value) : Environment.ProcessorCount,
            (int)JsonNode.Parse(File.ReadAllText(here["run/environment.json"]))!["threads"]!);
    }

    [Theory]
    [InlineData("processor")]
    [InlineData("torchsharp")]
    public async Task Resuming_on_another_machine_warns(string what)
    {
        await here.Train("run", "--set", "training.steps=2");
        var environment = JsonNode.Parse(File.ReadAllText(here["run/environment.json"]))!;
        environment[what] = "0.1";
        here.Write("run/environment.json", environment.ToJsonString());

        Assert.Contains(
            $"{what}: 0.1 before, ", (await Workplace.Request("train", "--resume", here["run"])).Error, StringComparison.OrdinalIgnoreCase);
    }

    private Command Train(bool first) => first || !File.Exists(here["killed/config.yaml"])
        ? Command.Start(here.Folder, "train", "tiny.yaml", "--set", Stateful, "--out", "killed")
        : Command.Start(here.Folder, "train", "--resume", "killed");

    // The results of a step, without its time.
    private IEnumerable<string> Repeatable(string run) => here.Metrics(run).Select(line =>
        string.Join(' ', new[]
        {
            "step", "tokens", "train_loss", "validation_loss", "learning_rate", "gradient_norm",
        }.Select(name => line[name]?.ToJsonString())));
}
