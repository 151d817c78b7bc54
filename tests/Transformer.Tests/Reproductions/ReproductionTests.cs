using Transformer.Configuration;
using Transformer.Reproductions;

namespace Transformer.Tests.Reproductions;

public sealed class ReproductionTests
{
    [Fact]
    public void A_run_that_was_interrupted_ends_where_an_uninterrupted_one_ends()
    {
        using var temporary = new TemporaryFolder();
        var row = TinyRow.Of("tiny", Bound.AtMost(100), TinyRow.Trained("arm"));
        var whole = Run(row, temporary["whole"]);

        using var source = new CancellationTokenSource();
        var steps = new List<int>();
        Assert.ThrowsAny<OperationCanceledException>(() => row.Run(temporary["parts"], report: progress =>
        {
            if (progress.Step == 3) source.Cancel();
        }, cancellation: source.Token));
        var resumed = row.Run(
            temporary["parts"], report: progress => steps.Add(progress.Step), cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(whole.Figures, resumed.Figures);
        Assert.Equal([0, 4, 5, 6], steps);
    }

    [Fact]
    public void An_arm_that_has_ended_is_not_run_again_and_one_that_was_killed_is()
    {
        using var temporary = new TemporaryFolder();
        var (first, second) = (0, 0);
        var row = TinyRow.Of(
            "tiny", Bound.AtMost(100), TinyRow.Computed("first", _ => ++first),
            TinyRow.Computed("second", _ => ++second == 1 ? throw new InvalidOperationException("killed") : second));

        Assert.Throws<InvalidOperationException>(() => Run(row, temporary.Path));
        var result = Run(row, temporary.Path);
        Assert.Equal((1, 2, 3.0), (first, second, result.Figures[0].Ours));
        Assert.Equal(result.Figures, Run(row, temporary.Path).Figures);
        Assert.Equal((1, 2), (first, second));
    }

    [Fact]
    public void Another_seed_in_the_same_folder_is_refused()
    {
        using var temporary = new TemporaryFolder();
        var row = TinyRow.Of("tiny", Bound.AtMost(0), TinyRow.Computed("arm", seed => seed)) with { Seed = 7 };
        var result = Run(row, temporary.Path);
        Assert.Equal((7, 7.0, false), (result.Seed, result.Figures[0].Ours, result.Holds));
        var refusal = Assert.Throws<InputException>(
            () => row.Run(temporary.Path, seed: 8, cancellation: TestContext.Current.CancellationToken));
        Assert.Contains("another experiment, arm seed=7, expected arm seed=8", refusal.Message);
    }

    [Fact]
    public void A_record_that_is_no_json_is_refused()
    {
        using var temporary = new TemporaryFolder();
        var row = TinyRow.Of("tiny", Bound.AtMost(0), TinyRow.Computed("arm", seed => seed));
        Directory.CreateDirectory(row.FolderIn(temporary.Path));
        File.WriteAllText(Path.Combine(row.FolderIn(temporary.Path), "arm.json"), "{");
        Assert.Contains("Delete it", Assert.Throws<InputException>(() => Run(row, temporary.Path)).Message);
    }

    [Fact]
    public void A_model_can_be_measured_on_longer_texts_than_it_was_trained_on()
    {
        using var temporary = new TemporaryFolder();
        var arm = TinyRow.Trained("arm", "model.position={kind: alibi}") with
        {
            MeasuredAlso = new Dictionary<string, IReadOnlyList<string>>
            {
                ["same"] = ["training.steps=1"],
                ["longer"] = ["model.context_length=16"],
            },
        };
        double Of(string measure) => Run(
            TinyRow.Of("tiny", Bound.AtMost(100), arm) with { Figures = [new("", "", Bound.AtMost(100), arms => arms["arm", measure])] },
            temporary.Path).Figures[0].Ours;
        Near.Equal(Of(TrainedArm.LossName), Of($"same.{TrainedArm.LossName}"), 1e-6, "the model that was trained");
        Assert.NotEqual(Of(TrainedArm.LossName), Of($"longer.{TrainedArm.LossName}"));
        Near.Equal(Of(TrainedArm.LossName), Of($"longer.{TrainedArm.LossName}"), 0.5, "and not another one");
    }

    private static ReproductionResult Run(Reproduction row, string folder) =>
        row.Run(folder, cancellation: TestContext.Current.CancellationToken);
}
