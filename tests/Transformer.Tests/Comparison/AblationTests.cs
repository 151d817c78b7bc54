using System.Collections.Concurrent;
using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.Comparison;

public sealed class AblationTests : IDisposable
{
    private const string Rate = "training.optimizer.learning_rate";

    private readonly TemporaryFolder folder = new();
    private readonly ConcurrentQueue<string> trained = [];
    private Func<RunConfig, double> loss = run => 2 + 0.001 * (run.Training.Seed % 7);

    [Fact]
    public async Task Every_design_is_trained_with_every_seed_and_compared_with_the_first()
    {
        loss = run => 2 + 0.01 * (run.Training.Seed % 7) + (run.Model.Position is AlibiPositionConfig ? 0.5 + 1e-4 * run.Training.Seed : 0);
        var result = await Run(Request);
        Assert.Equal(
            ["rope/seed-1337", "alibi/seed-1337", "rope/seed-1338", "alibi/seed-1338", "rope/seed-1339", "alibi/seed-1339"], trained);
        var comparison = Assert.Single(result.Comparisons);
        Assert.Equal((3, true, false), (comparison.Test!.Pairs, comparison.IsDifferent, comparison.IsBetter));
        Assert.StartsWith("alibi is worse than rope by 0.6338 nats per token (95 % interval of the difference", comparison.Sentence(1));
        Assert.Contains("| alibi | 3 | 2.64", AblationReport.Markdown(result));
        Assert.Equal(7, AblationReport.Csv(result).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task Designs_that_chance_could_have_ordered_so_cannot_be_told_apart()
    {
        loss = run => 2 + 0.01 * (run.Training.Seed % 7) * (run.Model.Position is AlibiPositionConfig ? 1 : -1);
        var sentence = (await Run(Request)).Comparisons[0].Sentence(1);
        Assert.Contains("cannot be told apart", sentence);
        Assert.Contains("So many seeds would have shown a difference of", sentence);
        Assert.Contains("One seed tells nothing", (await Run(Request with { Seeds = 1 }, "one")).Comparisons[0].Sentence(1));
    }

    [Fact]
    public async Task What_has_ended_is_not_trained_again_and_what_has_failed_is()
    {
        var isBroken = true;
        loss = run => isBroken && run.Training.Seed == 1338 ? throw new InvalidOperationException("no space") : 2;
        var first = await Run(Request);
        Assert.Equal(2, first.Cells.Count(cell => cell.Result.Failure == "no space"));
        Assert.Contains(first.Comparisons[0].Caveats, caveat => caveat.Contains("1338 of alibi failed"));
        Assert.Equal(2, first.Comparisons[0].Test!.Pairs);

        trained.Clear();
        isBroken = false;
        var second = await Run(Request);
        Assert.Equal(["alibi/seed-1338", "rope/seed-1338"], trained.Order());
        Assert.Equal(3, second.Comparisons[0].Test!.Pairs);
    }

    [Fact]
    public async Task A_run_that_has_diverged_is_a_result_and_is_told()
    {
        loss = run => run.Model.Position is AlibiPositionConfig && run.Training.Seed == 1337
            ? double.NaN : 2 + 0.1 * (run.Training.Seed % 3);
        var result = await Run(Request);
        Assert.Contains(result.Comparisons[0].Caveats, caveat => caveat.Contains("1337 of alibi diverged") && caveat.Contains("favours"));
        Assert.Contains("| alibi | 2 of 3 |", AblationReport.Markdown(result));
        trained.Clear();
        await Run(Request);
        Assert.Empty(trained);
    }

    [Fact]
    public async Task Every_design_is_compared_at_its_own_best_rate_found_with_a_seed_of_its_own()
    {
        loss = run => Math.Abs(Math.Log(run.Training.Optimizer.LearningRate / (run.Model.Position is AlibiPositionConfig ? 1e-3 : 4e-3)));
        var result = await Run(Request with { Sweep = Sweep.Parse($"{Rate}=5e-4:8e-3:log:5") });
        Assert.Equal([4e-3, 1e-3], result.Choices.Select(choice => choice.Value!.Value));
        Assert.DoesNotContain(result.Choices, choice => choice.IsAtEdge);
        Assert.Equal(10, trained.Count(name => name.Contains("seed-1336")));
        Assert.All(result.Cells, cell => Assert.Equal(0, cell.Result.Outcome!.ValidationLoss, 1e-12));

        var edge = await Run(Request with { Sweep = Sweep.Parse($"{Rate}=5e-4:1e-3:log:2") }, "edge");
        Assert.Contains(edge.Comparisons[0].Caveats, caveat => caveat.Contains("the best value of rope, 0.001, is the last one"));
    }

    [Fact]
    public async Task Successive_halving_gives_the_better_half_twice_the_steps()
    {
        loss = run => Math.Abs(Math.Log(run.Training.Optimizer.LearningRate / 4e-3));
        var sweep = Sweep.Parse($"{Rate}=5e-4:8e-3:log:5");
        var result = await Run(Request with { Sweep = sweep, Halving = true, Variations = [] });
        Assert.Equal(4e-3, result.Choices[0].Value);
        Assert.Equal(
            [(5, 500), (3, 1000), (2, 2000)],
            trained.Where(name => name.Contains("steps")).GroupBy(name => name.Split("steps-")[1])
                .Select(rung => (rung.Count(), int.Parse(rung.Key))).OrderBy(rung => rung.Item2));
    }

    [Fact]
    public async Task A_rate_at_which_every_run_failed_is_no_choice()
    {
        loss = _ => double.NaN;
        var result = await Run(Request with { Sweep = Sweep.Parse($"{Rate}=1e-3:1e-2:log:2") });
        Assert.All(result.Choices, choice => Assert.Null(choice.Value));
        Assert.Contains("no seed in common", result.Comparisons[0].Sentence(1));
        Assert.All(result.Cells, cell => Assert.Contains("no value of training.optimizer.learning_rate", cell.Result.Failure));
    }

    [Fact]
    public async Task A_sweep_of_which_a_run_failed_makes_no_choice_until_it_is_trained()
    {
        var isBroken = true;
        loss = run => isBroken && run.Training.Optimizer.LearningRate > 5e-3 ? throw new InvalidOperationException("killed") : 2;
        var request = Request with { Sweep = Sweep.Parse($"{Rate}=1e-3:1e-2:log:2") };
        var result = await Run(request);
        Assert.All(result.Choices, choice => Assert.Null(choice.Value));
        Assert.All(result.Cells, cell => Assert.False(cell.Result.HasDiverged));
        isBroken = false;
        Assert.All((await Run(request)).Choices, choice => Assert.NotNull(choice.Value));
    }

    [Fact]
    public async Task Names_of_folders_are_plain_and_never_the_same()
    {
        var result = await Run(Request with
        {
            Variations =
            [
                Variation.Parse("training.parameters=[],[{pattern: \"*\", frozen: false}]"), Variation.Parse("model.dropout=0,0.1"),
            ],
        });
        var folders = result.Designs.Select(design => design.Design.Folder).ToList();
        Assert.Equal(4, folders.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(folders, name => Assert.Matches("^[A-Za-z0-9][A-Za-z0-9._-]*$", name));
        Assert.Equal(12, Directory.GetFiles(folder["ablation/results"], "*.json", SearchOption.AllDirectories).Length);
    }

    [Fact]
    public void Presets_kinds_and_values_of_one_model_meet_in_the_design()
    {
        var designs = Design.Of("names", [], [
            Variation.Parse("model.attention.kind=softmax,linear"), Variation.Parse("model.attention={kind: softmax, heads: 2}")]);
        var mixers = designs.Select(design => (HeadedAttentionConfig)design.Config.Model.Attention!).ToList();
        Assert.Equal([typeof(SoftmaxAttentionConfig), typeof(LinearAttentionConfig)], mixers.Select(mixer => mixer.GetType()));
        Assert.All(mixers, mixer => Assert.Equal(2, mixer.Heads));
        Assert.Contains("the same design", Assert.Throws<InputException>(
            () => Design.Of("names", [], [Variation.Parse($"{Rate}=1e-3,0.001")])).Message);
    }

    [Fact]
    public async Task Data_that_have_changed_are_refused()
    {
        var text = folder.Write("text.txt", string.Concat(Enumerable.Repeat("abcd ", 500)));
        var request = Request with { Overrides = [$"data.path={text}"] };
        await Run(request);
        folder.Write("text.txt", string.Concat(Enumerable.Repeat("abdc ", 500)));
        Assert.Contains("the data have changed", Refusal(request));
    }

    [Fact]
    public async Task Another_ablation_in_the_folder_is_refused_by_what_differs()
    {
        await Run(Request);
        Assert.Contains("seeds: 3", Refusal(Request with { Seeds = 4 }));
        Assert.Contains("variations", Refusal(Request with { Variations = [Variation.Parse("model.position.kind=rope,none")] }));
        Assert.Contains("threads: 1", Refusal(Request with { Threads = 2 }));
    }

    [Fact]
    public async Task A_configuration_that_was_edited_meanwhile_is_refused()
    {
        var file = folder.Write("base.yaml", ConfigLibrary.Recipe("names"));
        var request = Request with { Source = file };
        await Run(request);
        folder.Write("base.yaml", ConfigLibrary.Recipe("names").Replace("batch_size: 32", "batch_size: 16", StringComparison.Ordinal));
        Assert.Contains("other configurations", Refusal(request));
    }

    [Fact]
    public void Two_processes_do_not_work_in_one_folder()
    {
        using var first = Ablation.Open(Request, folder["ablation"], TestContext.Current.CancellationToken);
        Assert.Contains("another process compares there", Refusal(Request));
    }

    [Fact]
    public async Task A_cancelled_ablation_keeps_what_has_ended()
    {
        using var cancellation = new CancellationTokenSource();
        loss = run => 2 + (run.Training.Seed == 1338 ? Cancelled() : 0);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Run(Request, stop: cancellation));
        var before = trained.Count;
        loss = _ => 2;
        await Run(Request);
        Assert.InRange(before, 3, 4);
        Assert.Equal((6, 6), (trained.Distinct().Count(), trained.Count));

        double Cancelled()
        {
            cancellation.Cancel();
            return 0;
        }
    }

    [Fact]
    public async Task The_loss_over_sizes_is_fitted()
    {
        loss = run => 1.5 + 40 * Math.Pow(new ModelSize(run.Model).Parameters, -0.5);
        var result = await Run(Request with
        {
            Mode = AblationMode.Scaling,
            Match = MatchKind.None,
            Variations = [Variation.Parse("model.width=32,64,128,256,512")],
        });
        Assert.Equal(1.5, result.Laws[0].Fit!.Irreducible.Value, 0.02);
        Assert.Equal(0.5, result.Laws[0].Fit!.Parameters!.Exponent.Value, 0.02);
        Assert.Contains("L = E + A N^-α", AblationReport.Markdown(result));
    }

    [Fact]
    public async Task The_best_rate_of_every_width_is_found()
    {
        loss = run => Math.Abs(Math.Log(run.Training.Optimizer.LearningRate / (0.064 / run.Model.Width)));
        var result = await Run(Request with
        {
            Mode = AblationMode.RateTransfer,
            Match = MatchKind.None,
            Seeds = 1,
            Variations = [Variation.Parse("model.width=16,32,64")],
            Sweep = Sweep.Parse($"{Rate}=5e-4:8e-3:log:5"),
        });
        var transfer = Assert.Single(result.Transfers);
        Assert.Equal([3, 2, 1], transfer.Rows.Select(row => row.Best!.Value));
        Assert.Equal(2, transfer.Moves);
        Assert.Contains("moves by 2 steps of the grid from width 16 to 64 (4 times as wide)", transfer.Sentence());
        Assert.Contains("Coordinate check", AblationReport.Markdown(result));
        Assert.Contains("logits", transfer.Coordinates.Select(at => at.Place));
    }

    public void Dispose() => folder.Dispose();

    private static AblationRequest Request => new()
    {
        Source = "names",
        Variations = [Variation.Parse("model.position.kind=rope,alibi")],
        Threads = 1,
    };

    private string Refusal(AblationRequest request) => Assert.Throws<InputException>(
        () => Ablation.Open(request, folder["ablation"], TestContext.Current.CancellationToken)).Message;

    private async Task<AblationResult> Run(AblationRequest request, string name = "ablation", CancellationTokenSource? stop = null)
    {
        var cancellation = stop?.Token ?? TestContext.Current.CancellationToken;
        using var ablation = Ablation.Open(request, folder[name], cancellation);
        return await ablation.RunAsync(Train, jobs: 1, _ => { }, cancellation);
    }

    private Task<CellResult> Train(string file, string run, CancellationToken stop)
    {
        var config = ConfigFile.Load(file, []);
        trained.Enqueue(string.Join('/', run.Split('/')[^2..]));
        try
        {
            var value = loss(config);
            return Task.FromResult(double.IsNaN(value) ? new CellResult(null, "the loss is NaN", HasDiverged: true) : new CellResult(
                new TrainingOutcome(run, config.Training.Steps, 1000, 1, value, value, value, 0.5)));
        }
        catch (InvalidOperationException failure)
        {
            return Task.FromResult(new CellResult(null, failure.Message));
        }
    }
}
