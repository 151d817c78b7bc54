using System.Diagnostics;

namespace Transformer.Cli;

/// <summary>The progress of one piece of work: a line that is drawn over on a terminal, a line now and then elsewhere.</summary>
internal sealed class ProgressLine(TextWriter error, string work)
{
    private readonly bool isTerminal = error is StandardWriter { IsTerminal: true };
    private readonly Stopwatch watch = Stopwatch.StartNew();
    private TimeSpan shown;

    /// <summary>Shows which share is done and how long the rest will take.</summary>
    public void Show(double share)
    {
        if (watch.Elapsed - shown < TimeSpan.FromSeconds(isTerminal ? 0.2 : 5) && share < 1) return;
        shown = watch.Elapsed;
        var text = $"{work} {share:p0}, {Numbers.Duration(watch.Elapsed * ((1 - share) / share))} left";
        if (!isTerminal) error.WriteLine(text);
        else error.Write(share < 1 ? $"\r{text}" : $"\r{text}{Environment.NewLine}");
    }
}
