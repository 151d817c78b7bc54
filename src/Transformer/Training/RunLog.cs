using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Training;

/// <summary>
/// The output of a run: metrics, samples and checkpoint pointers in its folder, and events for the display. Only rank 0 has one.
/// </summary>
internal sealed class RunLog : IDisposable
{
    private readonly RunFolder run;
    private readonly MetricsLog metrics;
    private readonly SampleLog samples;
    private readonly Action<TrainingEvent>? report;

    /// <param name="run">The run's folder.</param>
    /// <param name="progress">The run's progress; what a killed process wrote after it is dropped.</param>
    /// <param name="report">Receives the events; may be null.</param>
    public RunLog(RunFolder run, TrainingProgress progress, Action<TrainingEvent>? report)
    {
        (this.run, this.report) = (run, report);
        samples = new SampleLog(run.Path, progress.SampleBytes);
        metrics = new MetricsLog(run.Path, progress.Step);
    }

    /// <summary>Reports an event.</summary>
    public void Report(TrainingEvent happened) => report?.Invoke(happened);

    /// <summary>Logs a step.</summary>
    /// <exception cref="InputException">The metrics cannot be written.</exception>
    public void Stepped(Metrics line, double secondsLeft)
    {
        metrics.Write(line);
        Report(new TrainingEvent.Stepped(line, secondsLeft));
    }

    /// <summary>Logs a sample.</summary>
    /// <returns>The length of the samples file in bytes.</returns>
    /// <exception cref="InputException">It cannot be written.</exception>
    public long Sampled(int step, string text)
    {
        var bytes = samples.Append(step, text);
        Report(new TrainingEvent.Sampled(step, text));
        return bytes;
    }

    /// <summary>Logs a saved checkpoint: updates the pointers and deletes old checkpoints.</summary>
    /// <param name="progress">The checkpoint's progress.</param>
    /// <param name="keep">How many of the last ones are kept beside the best.</param>
    public void Saved(TrainingProgress progress, int keep)
    {
        var folder = run.Checkpoint(progress.Step);
        if (progress.BestStep == progress.Step) CheckpointPointer.Set(folder, CheckpointPointer.Best);
        CheckpointPointer.Set(folder, CheckpointPointer.Latest);
        run.DeleteCheckpoints(keep, progress.BestStep);
        Report(new TrainingEvent.Saved(progress.Step, folder));
    }

    /// <summary>What the log of a whole run says.</summary>
    /// <param name="TrainLoss">The mean training loss of the last hundred steps; null where all of them overflowed.</param>
    /// <param name="CoreSecondsPerToken">The processor time per token, over the steps that have it.</param>
    /// <param name="JoulesPerToken">The energy per token, over the steps that have it.</param>
    public readonly record struct Summary(double? TrainLoss, double? CoreSecondsPerToken, double? JoulesPerToken);

    /// <summary>Draws the loss over the whole run.</summary>
    public Summary Finish()
    {
        Metrics[] lines = [.. MetricsLog.Read(run.PathOf(MetricsLog.FileName))];
        LossPlot.Write(lines, run.PathOf("loss.svg"));
        return Summarize(lines);
    }

    /// <summary>The summary of a log.</summary>
    internal static Summary Summarize(IReadOnlyList<Metrics> lines)
    {
        return new(
            lines.TakeLast(TrainingOutcome.TrainLossSteps).Average(line => line.TrainLoss),
            PerToken(line => line.CoreSecondsPerToken),
            PerToken(line => line.JoulesPerToken));

        // A line has the tokens of all steps so far.
        double? PerToken(Func<Metrics, double?> value)
        {
            var (sum, tokens, before) = (0.0, 0L, 0L);
            foreach (var line in lines)
            {
                if (value(line) is { } perToken) (sum, tokens) = (sum + perToken * (line.Tokens - before), tokens + line.Tokens - before);
                before = line.Tokens;
            }
            return tokens > 0 ? sum / tokens : null;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => metrics.Dispose();
}
