using System.Text.Json.Nodes;
using Transformer.Inference.Torch;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

public sealed class TrainingMemoryTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("model.layers=4", "training.activation_checkpointing=false")]
    [InlineData("model.layers=4", "training.activation_checkpointing=true")]
    [InlineData("model.layers=1", "model.vocabulary_size=30000")]
    public void The_predicted_peak_is_within_15_percent_of_that_of_a_fresh_process(params string[] changes)
    {
        Assert.SkipUnless(File.Exists("/proc/self/clear_refs"), "Only Linux tells the peak of a process.");
        string[] model = ["model.width=192", "model.context_length=256", "model.attention.heads=3", "training.batch_size=4", .. changes];
        var run = Command.Run(here.Folder, ["bench", "memory", "--json", .. model.SelectMany(change => (string[])["--set", change])]);
        Assert.True(run.Code == 0, run.Error);
        var result = JsonNode.Parse(run.Output)!;
        var (peak, predicted) = ((double)result["peak_bytes"]!, (double)result["predicted_bytes"]!);
        Assert.True(
            Math.Abs(predicted / peak - 1) <= 0.15, $"predicted {predicted / (1 << 20):f1} MiB, measured {peak / (1 << 20):f1} MiB");
    }

    [Fact]
    public void A_run_that_saves_memory_and_was_interrupted_ends_with_the_weights_of_one_that_was_not()
    {
        using (var whole = Trainer.Start(Run(), here["whole"])) whole.Run(TestContext.Current.CancellationToken);
        using (var interruption = new CancellationTokenSource())
        using (var first = Trainer.Start(Run(), here["parts"], happened =>
        {
            if (happened is TrainingEvent.Stepped { Metrics.Step: 3 }) interruption.Cancel();
        }))
            Assert.ThrowsAny<OperationCanceledException>(() => first.Run(interruption.Token));
        using (var second = Trainer.Resume(here["parts"])) second.Run(TestContext.Current.CancellationToken);
        using var expected = LoadedModel.Open(here["whole"]);
        using var found = LoadedModel.Open(here["parts"]);
        foreach (var ((name, value), (_, again)) in expected.Model.Weights.Zip(found.Model.Weights)) Near.Equal(value, again, 0, name);
    }

    [Fact]
    public void Blocks_that_are_computed_again_change_no_weight_of_a_run()
    {
        using (var kept = Trainer.Start(Run("training.activation_checkpointing=false"), here["kept"]))
            kept.Run(TestContext.Current.CancellationToken);
        using (var again = Trainer.Start(Run(), here["again"])) again.Run(TestContext.Current.CancellationToken);
        using var expected = LoadedModel.Open(here["kept"]);
        using var found = LoadedModel.Open(here["again"]);
        foreach (var ((name, value), (_, weight)) in expected.Model.Weights.Zip(found.Model.Weights)) Near.Equal(value, weight, 0, name);
    }

    // With dropout; the moments in bf16.
    private RunConfig Run(params string[] changes) => ConfigFile.Load(here["tiny.yaml"],
    [
        $"data.path={here["corpus.txt"]}", "training.steps=6", "training.evaluate_every=6", "training.sample_tokens=0",
        "training.activation_checkpointing=true", "training.optimizer.state_precision=bf16", .. changes,
    ]);
}
