using System.CommandLine;
using Transformer.Comparison;
using Transformer.Files;

namespace Transformer.Cli;

/// <summary><c>report</c>: several runs side by side as one HTML file.</summary>
internal static class ReportVerb
{
    /// <summary>Its name.</summary>
    public const string Name = "report";

    private static readonly Argument<string[]> Runs = new("DIR")
    {
        Description = "The folders of runs, which may be in training.",
        Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<string> Out = new("--out")
    {
        Description = "The page; one that is there is replaced.",
        HelpName = "FILE",
        DefaultValueFactory = _ => "report.html",
    };

    private static readonly Option<bool> Open = new("--open") { Description = "Open the page in the browser." };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Draws runs side by side on one HTML page: losses, speed, samples and differences of configurations.")
        {
            Runs, Out, Open, SharedOptions.Json,
        };
        verb.SetAction(Run);
        return verb;
    }

    private static void Run(ParseResult request)
    {
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        var (runs, page) = (ReportRun.ReadAll(request.GetRequiredValue(Runs)), request.GetRequiredValue(Out));
        DurableFile.WriteText(page, ReportPage.Html(Title(runs), [], runs, isLive: false));
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, new { Out = page, Runs = runs.Select(Numbers) });
        error.WriteLine($"{page}: {(runs.Count == 1 ? "1 run" : $"{runs.Count} runs")}");
        if (!request.GetValue(Open)) return;
        using var browser = Browser.Open(page);
        browser.Wait();
        if (browser.HasFailed) error.WriteLine($"warning: {Browser.Advice(page)}");
    }

    private static object Numbers(ReportRun run) => new
    {
        run.Name,
        run.Steps,
        run.Last?.Tokens,
        run.Last?.Seconds,
        run.TrainLoss,
        run.LastEvaluated?.ValidationLoss,
        run.LastEvaluated?.ValidationAccuracy,
        run.Parameters,
        run.CoreSecondsPerToken,
        run.JoulesPerToken,
    };

    private static string Title(IReadOnlyList<ReportRun> runs) => runs.Count <= 4 ? string.Join(" · ", runs.Select(run => run.Name))
        : $"{runs[0].Name} and {runs.Count - 1} other runs";
}
