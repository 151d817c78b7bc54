using System.Diagnostics;
using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary>
/// The page of a run that is in training (<c>train --open</c>): written at its beginning, every few seconds and at its end, however it
/// ends. Between the first page and the last it takes a hundredth of the run's time at most. What goes wrong with it is a warning.
/// </summary>
/// <param name="report">Shows a warning.</param>
internal sealed class LivePage(Action<TrainingEvent> report) : IDisposable
{
    private const double LeastSeconds = 5, MostShare = 0.01;

    private readonly Stopwatch sinceWritten = new();    // began with the last page
    private string? folder, warned;
    private Browser? browser;
    private double pause = LeastSeconds;

    /// <summary>Follows the run.</summary>
    public void Show(TrainingEvent happened)
    {
        if (happened is TrainingEvent.Started started)
        {
            folder = started.Folder;
            sinceWritten.Restart();
            if (Write(isLive: true)) browser = Browser.Open(Page);
        }
        if (happened is not TrainingEvent.Stepped || folder is null) return;
        if (sinceWritten.Elapsed.TotalSeconds > pause)
        {
            sinceWritten.Restart();
            Write(isLive: true);
            pause = Math.Max(LeastSeconds, sinceWritten.Elapsed.TotalSeconds / MostShare);
        }
        LookAtBrowser();
    }

    /// <summary>Writes the page of the run as it ended, which does not reload.</summary>
    public void Dispose()
    {
        if (folder is not null) Write(isLive: false);
        LookAtBrowser();
        browser?.Dispose();
    }

    private string Page => Path.Combine(folder!, RunFolder.ReportName);

    private bool Write(bool isLive)
    {
        try
        {
            var run = ReportRun.Read(folder!);
            DurableFile.WriteText(Page, ReportPage.Html(run.Name, [], [run], isLive));
            return true;
        }
        catch (Exception failure) when (failure is InputException or IOException or UnauthorizedAccessException)
        {
            Warn(failure.Message.Split('\n')[0]);
            return false;
        }
    }

    private void LookAtBrowser()
    {
        if (browser?.HasFailed is not true) return;
        Warn(Browser.Advice(Page));
        browser.Dispose();
        browser = null;
    }

    private void Warn(string message)
    {
        if (message != warned) report(new TrainingEvent.Warned($"The page of the run: {message}"));
        warned = message;
    }
}
