using Transformer.Formats;
using Transformer.Runs;
using Transformer.Tests.EndToEnd;
using Transformer.Training;

namespace Transformer.Tests.Training;

/// <summary>Samples come after the checkpoint of their step, and cost a run nothing when they fail.</summary>
public sealed class SampleTests : IDisposable
{
    private readonly Workplace here = new();
    private readonly List<TrainingEvent> events = [];

    public void Dispose() => here.Dispose();

    [Fact]
    public void A_sample_that_fails_is_a_warning_and_the_run_has_its_checkpoint()
    {
        using (var trainer = Trainer.Start(Run(), here["run"], Listen)) trainer.Run(TestContext.Current.CancellationToken);

        Assert.Equal(2, events.OfType<TrainingEvent.Warned>()
            .Count(warning => warning.Message.Contains("sample after step", StringComparison.Ordinal)));
        using var checkpoint = CheckpointFolder.Open(here["run"]);
        Assert.Equal("step-20", Path.GetFileName(checkpoint.Folder));

        // The file cannot be written while a folder has its name.
        void Listen(TrainingEvent happened)
        {
            events.Add(happened);
            if (happened is TrainingEvent.Stepped { Metrics.Step: 1 }) Directory.CreateDirectory(here["run/samples.txt"]);
        }
    }

    [Fact]
    public void A_checkpoint_is_saved_before_its_step_is_sampled()
    {
        using (var trainer = Trainer.Start(Run(), here["run"], events.Add)) trainer.Run(TestContext.Current.CancellationToken);

        int[] saved = [.. events.OfType<TrainingEvent.Saved>().Select(save => events.IndexOf(save))];
        int[] sampled = [.. events.OfType<TrainingEvent.Sampled>().Select(sample => events.IndexOf(sample))];
        Assert.Equal([10, 20], events.OfType<TrainingEvent.Sampled>().Select(sample => sample.Step));
        Assert.All(saved.Zip(sampled), pair => Assert.True(pair.First < pair.Second));
    }

    [Fact]
    public void A_run_that_ended_between_a_checkpoint_and_its_sample_samples_when_it_goes_on()
    {
        using (var trainer = Trainer.Start(Run(), here["run"])) trainer.Run(TestContext.Current.CancellationToken);
        var samples = File.ReadAllText(here["run/samples.txt"]);
        File.WriteAllText(here["run/samples.txt"], samples[..samples.IndexOf("--- step 20", StringComparison.Ordinal)]);

        using (var trainer = Trainer.Resume(here["run"])) trainer.Run(TestContext.Current.CancellationToken);
        Assert.Equal(samples, File.ReadAllText(here["run/samples.txt"]));
    }

    private RunConfig Run() => ConfigFile.Load(
        here["tiny.yaml"], [$"data.path={here["corpus.txt"]}", "training.steps=20", "training.sample_every=10"]);
}
