using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Transformer.Comparison;
using Transformer.Training;

namespace Transformer.Tests.Comparison;

public sealed class ReportPageTests
{
    private const string Hostile = "</script><script>alert('ä')</script> <b>&amp;";

    [Fact]
    public void Whatever_a_run_is_called_and_has_written_is_text_on_the_page()
    {
        var run = SampleRuns.Of(Hostile, 10) with { Samples = [new TrainingEvent.Sampled(1, Hostile)] };
        var section = new ReportSection(Hostile, [Hostile], new([Hostile], [[Hostile]]));
        var page = ReportPage.Html(Hostile, [section], [run, SampleRuns.Of("b", 10)], isLive: false);

        Assert.Equal(2, Regex.Count(page, "<script"));    // the data and the program
        Assert.DoesNotContain("<b>", page);
        var data = DataOf(page)["runs"]![0]!;
        Assert.Equal((Hostile, Hostile), ((string?)data["name"], (string?)data["samples"]![0]!["text"]));
    }

    [Fact]
    public void A_section_stands_above_the_curves_with_its_table()
    {
        var section = new ReportSection("Summary", ["of two"], new(["design", "loss"], [["a", "1.25 ± 0.02"], ["b", "–"]]));
        var page = ReportPage.Html("t", [section], [SampleRuns.Of("a", 10)], isLive: false);
        Assert.Contains("<h2>Summary</h2>\n<p>of two</p>\n", page);
        Assert.Contains("<tr><th scope=\"row\">a</th><td class=\"number\">1.25 ± 0.02</td></tr>", page);
        Assert.InRange(page.IndexOf("Summary", StringComparison.Ordinal), 0, page.IndexOf("id=\"controls\"", StringComparison.Ordinal));
    }

    [Fact]
    public void A_long_run_is_averaged_and_keeps_every_evaluation()
    {
        var run = SampleRuns.Of("long", 25_000);
        var data = DataOf(ReportPage.Html("t", [], [run], isLive: false))["runs"]![0]!;

        var (training, validation) = (data["training"]!, data["validation"]!);
        double[] losses = Numbers(training["loss"]!);
        Assert.InRange(losses.Length, ReportData.Points / 2, ReportData.Points);
        Assert.Equal(run.Metrics.Take(25).Average(line => line.TrainLoss)!.Value, losses[0], 1e-4);
        Assert.Equal(25_000, Numbers(training["step"]!)[^1]);
        Assert.Equal(Enumerable.Range(1, 2500).Select(i => 10.0 * i), Numbers(validation["step"]!));
        Assert.Equal(run.Metrics[9].ValidationLoss!.Value, Numbers(validation["loss"]!)[0], 1e-4);
        Assert.Equal(25_000 * 1536 * 8e-5, Numbers(training["core_seconds"]!)[^1], 1);
    }

    [Fact]
    public void Ten_runs_of_a_hundred_thousand_steps_make_a_page_of_a_megabyte_and_a_half_at_most()
    {
        var runs = Enumerable.Range(1, 10).Select(seed => SampleRuns.Of($"run {seed}", 100_000, seed: seed)).Select(run => run with
        {
            Metrics = [.. run.Metrics.Select(line => line.Step % 500 == 0 ? line : line with { ValidationLoss = null })],
        }).ToList();
        Assert.InRange(ReportPage.Html("t", [], runs, isLive: false).Length, 0, 1_500_000);
    }

    [Fact]
    public void Of_many_samples_some_are_kept_and_the_last_one()
    {
        var run = SampleRuns.Of("a", 10) with
        {
            Samples = [.. Enumerable.Range(1, 1001).Select(step => new TrainingEvent.Sampled(step, "x"))],
        };
        var samples = DataOf(ReportPage.Html("t", [], [run], isLive: false))["runs"]![0]!["samples"]!.AsArray();
        Assert.InRange(samples.Count, ReportData.Samples / 2, ReportData.Samples);
        Assert.Equal(1001, (int)samples[^1]!["step"]!);
    }

    [Fact]
    public void Configurations_are_compared_key_by_key_and_a_part_of_another_kind_at_once()
    {
        ReportRun[] runs = [SampleRuns.Of("a", 10), SampleRuns.Of("b", 10, seed: 2) with
        {
            Config = SampleRuns.Config("training.seed=2", "training.steps=10", "model.position={kind: alibi}"),
        }];
        var table = ReportTables.Differences(runs).Table!;
        Assert.Equal(["key", "a", "b"], table.Columns);
        Assert.Equal(
            [["model.position", "rope (theta 10000)", "alibi"], ["training.seed", "1", "2"]], table.Rows.Select(row => row.ToArray()));
        Assert.Equal("The configurations are equal.", ReportTables.Differences([runs[0], runs[0]]).Paragraphs.Single());
    }

    [Fact]
    public void A_run_without_a_step_says_so_and_has_no_numbers()
    {
        var section = ReportTables.Results([SampleRuns.Of("new", 0), SampleRuns.Of("a", 20)]);
        Assert.Contains("new has not done a step yet.", section.Paragraphs);
        Assert.Equal(["new", "0 of 1", "–", "–", "–", "–", "–"], section.Table!.Rows[0].Take(7));
        Assert.Equal(["a", "20", "30,720", "2"], section.Table!.Rows[1].Take(4));
        Assert.Equal("2 runs, 20 steps; 1 not at its last step", ReportTables.Summary([SampleRuns.Of("new", 0), SampleRuns.Of("a", 20)]));
    }

    [Fact]
    public void Energy_is_a_column_only_where_it_was_counted()
    {
        var run = SampleRuns.Of("a", 20);
        Assert.DoesNotContain("mJ per token", ReportTables.Results([run]).Table!.Columns);
        var counted = run with { Metrics = [.. run.Metrics.Select(line => line with { JoulesPerToken = 0.002 })] };
        Assert.Equal("2", ReportTables.Results([counted, run]).Table!.Rows[0][^1]);
        Assert.Equal("–", ReportTables.Results([counted, run]).Table!.Rows[1][^1]);
    }

    private static JsonNode DataOf(string page) =>
        JsonNode.Parse(Regex.Match(page, @"<script type=""application/json"" id=""data"">(.*?)</script>").Groups[1].Value)!;

    private static double[] Numbers(JsonNode column) => [.. column.AsArray().Select(number => (double)number!)];
}
