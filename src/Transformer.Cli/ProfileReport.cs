using Spectre.Console;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary>What <c>train --profile</c> leaves: a table of the parts of a step, and their spans as a trace.</summary>
internal static class ProfileReport
{
    /// <summary>Writes the trace into the run's folder and the table after the run's last line.</summary>
    public static void Write(StepProfile profile, string folder, TextWriter error)
    {
        if (profile.Measured == 0)
        {
            error.WriteLine(
                $"profile: nothing was measured, since the first {StepProfile.WarmUp} steps are warm-up; train more steps than that.");
            return;
        }
        var trace = Path.Combine(folder, "trace.json");
        profile.WriteTrace(trace);
        var table = new Table().Border(TableBorder.Simple).AddColumns("part of a step (self time)", "forward", "backward", "share");
        foreach (var column in table.Columns.Skip(1)) column.RightAligned();
        foreach (var line in profile.Lines())
            table.AddRow(
                Markup.Escape(line.Part), $"{1000 * line.ForwardSeconds:f2} ms",
                line.BackwardSeconds > 0 ? $"{1000 * line.BackwardSeconds:f2} ms" : "", $"{line.Share:p1}");
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) }).Write(table);
        error.WriteLine($"mean of {profile.Measured} steps after {StepProfile.WarmUp}; the spans are in {trace}, " +
            "for ui.perfetto.dev or chrome://tracing");
    }
}
