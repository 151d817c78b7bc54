using Transformer.Cli;
using Transformer.Tests.EndToEnd;
using Transformer.Training;

namespace Transformer.Tests.Cli;

/// <summary>What a run shows while it goes on.</summary>
public sealed class TrainingDisplayTests : IDisposable
{
    private const int BarWidth = 21;
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task A_run_begins_with_model_data_and_place()
    {
        var (_, _, error) = await here.Train("run", "--threads", "1");
        var lines = error.Split('\n');
        Assert.Matches(@"^model: [\d.]+k parameters, 1 blocks of width 16, context 16$", lines[0]);
        Assert.Matches(@"^data: .*corpus\.txt, vocabulary 19, [\d.]+k tokens and \d+ to validate on$", lines[1]);
        Assert.Equal($"run: 40 steps of 2 x 16 tokens, cpu, 1 thread, in {here["run"]}", lines[2]);
        Assert.Contains("\nmean training loss of the last 40 steps ", error);

        (_, _, error) = await Workplace.Request("train", "--resume", here["run"], "--set", "training.steps=50");
        Assert.Contains("run: steps 41 to 50 of 2 x 16 tokens", error);
    }

    [Fact]
    public void The_time_left_is_seen_on_a_narrow_terminal()
    {
        var error = new StringWriter();
        using var display = TrainingDisplay.On(error);
        display.Show(new TrainingEvent.Stepped(
            new Metrics
            {
                Step = 1_234_567,
                Tokens = 1,
                TrainLoss = 12.3456,
                LearningRate = 1,
                TokensPerSecond = 1e6,
                Utilization = 1,
                Seconds = 1,
            },
            SecondsLeft: 100 * 3600 + 61));
        var line = error.ToString();
        Assert.Contains("100:01:01 left", line);    // not 4:01:01
        Assert.InRange(BarWidth + line.IndexOf("left", StringComparison.Ordinal) + "left".Length, 1, 79);
    }

    [Theory]
    [InlineData(
        "training.steps=5", "{kind: cosine, warmup_steps: 5}",
        "training.schedule.warmup_steps: 5 steps of warm-up, but the run has 5")]
    [InlineData(
        "training.steps=20", "{kind: warmup_stable_decay, warmup_steps: 10, decay_steps: 11}",
        "training.schedule.decay_steps: 10 steps of warm-up and 11 of decay, but the run has 20")]
    [InlineData("training.steps=6", "{kind: cosine, warmup_steps: 5}", null)]
    [InlineData("training.steps=20", "{kind: warmup_stable_decay, warmup_steps: 10, decay_steps: 10}", null)]
    public async Task A_schedule_that_does_not_fit_the_steps_is_warned_of(string steps, string schedule, string? warning)
    {
        foreach (var mode in new[] { "--json", "--dry-run" })
        {
            var (code, _, error) = await here.Train(
                $"run {mode}", mode, "--set", steps, "--set", $"training.schedule={schedule}", "--set", "training.sample_tokens=0");
            Assert.Equal(0, code);
            if (warning is null) Assert.DoesNotContain("warning", error);
            else Assert.Contains($"warning: {warning}", error);
        }
    }
}
