using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>What a resumed run may change, and what that does.</summary>
public sealed class ExtendedRunTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task A_run_with_a_constant_rate_that_is_extended_is_the_longer_run()
    {
        string[] constant = ["--set", "training.schedule={kind: constant}"];
        await here.Train("long", [.. constant, "--set", "training.steps=60"]);
        await here.Train("short", constant);

        var (code, _, error) = await Resume("short", "training.steps=60", "training.evaluate_every=20");

        Assert.True(code == 0, error);
        Assert.Contains("changed: training.steps: 40 before, 60 now\nchanged: training.evaluate_every: 10 before, 20 now\n", error);
        Assert.DoesNotContain("the schedule is", error);
        Assert.Equal(Weights("long"), Weights("short"));
        Assert.Equal(60, here.Steps("short"));

        byte[] Weights(string run) => File.ReadAllBytes(here[$"{run}/checkpoints/step-60/model.safetensors"]);
    }

    [Fact]
    public async Task The_schedule_of_an_extended_run_is_that_of_its_new_length()
    {
        await here.Train("run");

        var (code, _, error) = await Resume("run", "training.steps=80");

        Assert.True(code == 0, error);
        Assert.Contains(
            "the schedule now spans 80 steps: the learning rate continues at 0.0055 instead of 0.001",
            error);
        var schedule = new CosineScheduleConfig();
        Assert.Equal(1e-2 * LearningRate.At(schedule, 40, 80), (double)here.Metrics("run")[40]["learning_rate"]!, 1e-12);
        Assert.DoesNotContain("--set training.schedule", error);    // what a run that has begun cannot change
        Assert.Contains("  steps: 80\n", File.ReadAllText(here["run/config.yaml"]));
        Assert.Equal(0, (await Workplace.Request("train", "--resume", here["run"])).Code);
        Assert.Equal(80, here.Steps("run"));
    }

    [Theory]
    [InlineData("training.batch_size=4", "--resume cannot change training.batch_size; it can change training.steps, ")]
    [InlineData("model.mlp={kind: gelu}", "--resume cannot change model.mlp; ")]
    [InlineData("training.optimizer.learning_rate=1", "--resume cannot change training.optimizer.learning_rate; ")]
    [InlineData("training.steps=5", "training.steps: found 5, but ")]
    [InlineData("training.stps=5", "training.stps: unknown key; did you mean training.steps?")]
    [InlineData("data.path=HERE/other.txt", "other.txt is not what the run began with")]
    public async Task What_a_run_cannot_change_is_refused_and_changes_nothing(string set, string message)
    {
        here.Write("other.txt", string.Concat(Enumerable.Repeat("lines of it 0123456789\n", 100)));
        await here.Train("run", "--set", "training.steps=10");
        var before = File.ReadAllText(here["run/config.yaml"]);

        var (code, output, error) = await Resume("run", set.Replace("HERE", here.Folder));

        Assert.Equal((2, ""), (code, output));
        Assert.Contains(message, error);
        Assert.Equal(before, File.ReadAllText(here["run/config.yaml"]));
        Assert.Equal(10, here.Steps("run"));
    }

    [Fact]
    public async Task A_text_that_was_moved_is_named_once_more()
    {
        await here.Train("run", "--set", "training.steps=10");
        File.Move(here["corpus.txt"], here["moved.txt"]);

        var (code, _, error) = await Workplace.Request("train", "--resume", here["run"]);
        Assert.Equal(2, code);
        Assert.Contains("corpus.txt: no such file", error);
        Assert.Contains($"transformer train --resume {here["run"]} --set data.path=...", error);

        Assert.Equal(0, (await Resume("run", $"data.path={here["moved.txt"]}")).Code);
        Assert.Contains($"path: {here["moved.txt"]}", File.ReadAllText(here["run/config.yaml"]));
    }

    [Fact]
    public async Task A_checkpoint_that_is_named_in_place_of_its_run_is_told_from_it()
    {
        await here.Train("run", "--set", "training.steps=1");
        var (code, _, error) = await Workplace.Request("train", "--resume", here["run/checkpoints/step-1"]);
        Assert.Equal(2, code);
        Assert.Contains($"It is a checkpoint of the run {here["run"]}: transformer train --resume {here["run"]}", error);
    }

    [Fact]
    public async Task A_run_without_a_checkpoint_does_not_block_its_folder()
    {
        await here.Train("run", "--set", "training.steps=10");
        Directory.Delete(here["run/checkpoints"], recursive: true);    // killed before the first one

        var (code, _, error) = await here.Train("run", "--set", "training.steps=5");

        Assert.True(code == 0, error);
        Assert.Contains("ended before its first checkpoint and is replaced", error);
        Assert.Equal(5, here.Steps("run"));
        Assert.Single(Directory.GetFiles(here["run"], "events.out.tfevents.*"));
        Assert.True(RunFolder.IsFree(here["none"]));
        Assert.False(RunFolder.IsFree(here["run"]));
        Directory.Delete(here["run/checkpoints"], recursive: true);
        Assert.True(RunFolder.IsFree(here["run"]));
    }

    private Task<(int Code, string Output, string Error)> Resume(string run, params string[] sets) =>
        Workplace.Request(["train", "--resume", here[run], .. sets.SelectMany(set => new[] { "--set", set })]);
}
