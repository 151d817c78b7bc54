using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Training;

/// <summary>
/// What a run tells those who follow it: metrics, samples and marked checkpoints in its folder, and events to whoever shows them. Of
/// several ranks only rank 0 has one.
/// </summary>
internal sealed class RunLog : IDisposable
{
    private readonly RunFolder run;
    private readonly MetricsLog metrics;
    private readonly SampleLog samples;
    private readonly Action<TrainingEvent>? report;

    /// <param name="run">The run's folder.</param>
    /// <param name="progress">How far it has come; what a killed process wrote after that is dropped.</param>
    /// <param name="report">Told what happens; null where nobody asks.</param>
    public RunLog(RunFolder run, TrainingProgress progress, Action<TrainingEvent>? report)
    {
        (this.run, this.report) = (run, report);
        samples = new SampleLog(run.Path, progress.SampleBytes);
        metrics = new MetricsLog(run.Path, progress.Step);
    }

    /// <summary>Something happened.</summary>
    public void Tell(TrainingEvent happened) => report?.Invoke(happened);

    /// <summary>A step was done.</summary>
    /// <exception cref="InputException">Its metrics cannot be written.</exception>
    public void Stepped(Metrics line, double secondsLeft)
    {
        metrics.Write(line);
        Tell(new TrainingEvent.Stepped(line, secondsLeft));
    }

    /// <summary>The model wrote a sample.</summary>
    /// <returns>How many bytes of samples there are.</returns>
    /// <exception cref="InputException">It cannot be written.</exception>
    public long Sampled(int step, string text)
    {
        var bytes = samples.Append(step, text);
        Tell(new TrainingEvent.Sampled(step, text));
        return bytes;
    }

    /// <summary>A checkpoint was saved: the marks are set to it, and old ones deleted.</summary>
    /// <param name="progress">What it holds.</param>
    /// <param name="keep">How many of the last ones stay beside the best.</param>
    public void Saved(TrainingProgress progress, int keep)
    {
        var folder = run.Checkpoint(progress.Step);
        if (progress.BestStep == progress.Step) CheckpointPointer.Set(folder, CheckpointPointer.Best);
        CheckpointPointer.Set(folder, CheckpointPointer.Latest);
        run.DeleteCheckpoints(keep, progress.BestStep);
        Tell(new TrainingEvent.Saved(progress.Step, folder));
    }

    /// <summary>Draws the loss over the whole run.</summary>
    /// <returns>The mean training loss of the last hundred steps; null where all of them overflowed.</returns>
    public double? Finish()
    {
        Metrics[] lines = [.. MetricsLog.Read(run.PathOf(MetricsLog.FileName))];
        LossPlot.Write(lines, run.PathOf("loss.svg"));
        return lines.TakeLast(100).Average(line => line.TrainLoss);
    }

    /// <inheritdoc/>
    public void Dispose() => metrics.Dispose();
}
