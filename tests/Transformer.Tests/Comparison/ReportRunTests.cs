using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Comparison;

public sealed class ReportRunTests : IDisposable
{
    private const string FirstLine =
        """{"step":1,"tokens":100,"train_loss":2.5,"learning_rate":0.1,"tokens_per_second":10,"utilization":0.5,"seconds":1}""";

    private readonly TemporaryFolder here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public void A_run_that_has_just_begun_is_read_without_numbers()
    {
        var run = ReportRun.Read(Folder("new"));
        Assert.Equal(("new", 0, null, null), (run.Name, run.Steps, run.Last, run.TrainLoss));
        Assert.Empty(run.Samples);
    }

    [Fact]
    public void A_line_that_is_being_written_is_left_out()
    {
        var folder = Folder("run", FirstLine + "\n" + FirstLine[..40]);
        Assert.Equal(1, Assert.Single(ReportRun.Read(folder).Metrics).Step);
    }

    [Fact]
    public void Samples_are_read_with_their_steps_even_where_a_text_looks_like_one_or_is_cut_within_a_character()
    {
        var folder = Folder("run");
        byte[] cut = [.. "--- step 10\nfirst\n--- step 3\n\n--- step 20\nsecond é"u8];
        here.Write("run/samples.txt", cut[..^1]);
        var samples = ReportRun.Read(folder).Samples;
        Assert.Equal([(10, "first\n--- step 3"), (20, "second \ufffd")], samples.Select(sample => (sample.Step, sample.Text)));
    }

    [Fact]
    public void Equal_names_get_the_folders_above_that_differ()
    {
        string[] folders = [Folder("a/x/seed1"), Folder("b/x/seed1"), Folder("b/x/seed2"), Folder("a/x/seed1") + "/"];
        Assert.Equal(["a/x/seed1", "b/x/seed1", "seed2"], ReportRun.ReadAll(folders).Select(run => run.Name));
    }

    [Fact]
    public void What_is_no_run_is_refused_with_what_it_may_be()
    {
        here.Write("config.yaml", "");    // anybody's
        Assert.Contains("no run there. Expected a folder", Assert.Throws<InputException>(() => ReportRun.Read(here.Path)).Message);
        var run = Folder("run");
        Directory.CreateDirectory(Path.Combine(run, "checkpoints", "step-1"));
        var message = Assert.Throws<InputException>(() => ReportRun.Read(Path.Combine(run, "checkpoints", "step-1"))).Message;
        Assert.EndsWith($"It belongs to a run: {ShellCommand.Of("report", run)}", message);
    }

    [Fact]
    public void Operations_are_those_of_the_model_at_its_context_length_and_unknown_for_tasks()
    {
        var run = SampleRuns.Of("a", 1);
        Assert.Equal(new ModelSize(run.Config.Model).FlopsPerToken(128), run.FlopsPerToken);
        Assert.Null((run with { Config = ConfigFile.Load("copy", ["model.vocabulary_size=65"]) }).FlopsPerToken);
    }

    private string Folder(string name, string metrics = "")
    {
        Directory.CreateDirectory(here[name]);
        here.Write($"{name}/config.yaml", ConfigFile.ToYaml(SampleRuns.Config()));
        here.Write($"{name}/metrics.jsonl", metrics);
        return here[name];
    }
}
