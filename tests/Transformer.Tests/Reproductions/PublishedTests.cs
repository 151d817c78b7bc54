using Transformer.Configuration;
using Transformer.Data;
using Transformer.Reproductions;
using Transformer.Runs;
using Transformer.Tests.Architecture;
using Transformer.Training;

namespace Transformer.Tests.Reproductions;

public sealed class PublishedTests
{
    // What one thread computes of models this small, in operations per second, and no less.
    private const double SlowThread = 1.5e10, LongestMinutes = 31;

    public static TheoryData<string> Names => [.. Published.Rows.Select(row => row.Name)];

    [Fact]
    public void There_are_at_least_fifteen_rows_of_different_names_that_take_a_hundred_minutes_on_one_thread_at_most()
    {
        Assert.True(Published.Rows.Count >= 15, $"{Published.Rows.Count} rows");
        Assert.Equal(Published.Rows.Count, Published.Rows.Select(row => row.Name).Distinct().Count());
        Assert.InRange(Published.Rows.Sum(row => row.Minutes), 10, 100);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_row_has_a_paper_a_claim_and_bounds_and_arms_of_different_names(string name)
    {
        var row = Named(name);
        Assert.Matches("^[a-z0-9-]+$", row.Name);
        Assert.NotEmpty(row.Paper);
        Assert.EndsWith(".", row.Claim);
        Assert.NotEmpty(row.Figures);
        Assert.All(row.Figures, figure => Assert.NotEmpty(figure.Published));
        Assert.Equal(row.Figures.Count, row.Figures.Select(figure => figure.What).Distinct().Count());
        Assert.Equal(row.Arms.Count, row.Arms.Select(arm => arm.Name).Distinct().Count());
        Assert.InRange(row.Minutes, 0.01, LongestMinutes);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_figure_stands_in_the_results_with_its_bound(string name)
    {
        var lines = File.ReadLines(Path.Combine(SourceTree.Root, "docs", "results.md"))
            .SkipWhile(line => line != "## Reproductions").Skip(1).TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))
            .ToList();
        Assert.Contains(lines, line => line.Contains($"`{name}`") && line.Contains(Named(name).Paper));
        Assert.All(Named(name).Figures, figure => Assert.Contains(
            lines, line => line.Contains($"| `{name}` | {figure.What} | {figure.Published} | {figure.Bound} |")));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_configurations_are_sound_and_their_operations_take_about_half_an_hour_at_most(string name)
    {
        var operations = 0.0;
        foreach (var arms in Named(name).Arms.OfType<TrainedArm>().GroupBy(arm => arm.Config(seed: 1).Data))
        {
            using var data = Dataset.Open(arms.Key);
            foreach (var arm in arms)
            {
                var given = arm.Config(seed: 1);
                data.RequireContext(given);
                operations += Operations(Trainer.Resolve(given, data), data);
                Assert.All(arm.MeasuredAlso.Values, overrides => ConfigFile.Load(arm.Recipe, [.. arm.Overrides, .. overrides]));
            }
        }
        Assert.InRange(operations / SlowThread / 60, 0, LongestMinutes);
    }

    [Fact]
    public void Every_figure_is_a_function_of_the_arms_that_its_row_has()
    {
        foreach (var row in Published.Rows)
        {
            var arms = new ArmResults(row.Arms.ToDictionary(arm => arm.Name, arm => arm is TrainedArm trained
                ? trained.Measures.ToDictionary(name => name, _ => 1.0) : (IReadOnlyDictionary<string, double>)new EveryMeasure()));
            Assert.All(row.Figures, figure => Assert.Null(Record.Exception(() => figure.Of(arms))));
        }
    }

    private static Reproduction Named(string name) => Published.Rows.Single(row => row.Name == name);

    private static double Operations(RunConfig run, Dataset data)
    {
        using var stream = data.Train(run with { Training = run.Training with { BatchSize = Math.Min(8, run.Training.BatchSize) } });
        var batch = stream.At(0);
        return (double)run.Training.Steps * run.Training.BatchSize * batch.Columns
            * new ModelSize(run.Model).FlopsPerToken(
                Math.Min(batch.Columns, run.Model.ContextLength), (double)batch.Predictions / batch.Inputs.Length);
    }
}
