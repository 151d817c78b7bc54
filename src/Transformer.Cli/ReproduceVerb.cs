using System.CommandLine;
using System.CommandLine.Parsing;
using Transformer.Configuration;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary><c>reproduce</c>: published claims, run again: one by name, or all.</summary>
internal static class ReproduceVerb
{
    /// <summary>Its name.</summary>
    public const string Name = "reproduce";

    private const string DefaultFolder = "reproductions";

    /// <summary>Seeds everything that an experiment draws at random.</summary>
    public static Option<int> Seed { get; } = new Option<int>("--seed")
    {
        Description =
            "The random seed; if there are several models, the first one's, from which the next ones count up.",
        HelpName = "N",
        DefaultValueFactory = _ => Reproduction.DefaultSeed,
    }.Whole(int.MinValue, int.MaxValue - 1000);

    private static readonly Option<bool> All = new("--all")
    {
        Description = "Run all that have no result in the folder yet, and judge all.",
    };

    private static readonly Option<string?> Out = new("--out")
    {
        Description = $"Where results and runs are kept, so that what was interrupted goes on there; default: {DefaultFolder}.",
        HelpName = "DIR",
    };

    private static readonly Option<int?> Jobs = new Option<int?>("--jobs")
    {
        Description = "How many to run at once, one thread each; default: one per core.",
        HelpName = "N",
    }.Whole(1, 1024);

    /// <summary>The verb with its experiments.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Repeats published experiments and compares; lists them if none is named.")
        {
            All, Out, Jobs, SharedOptions.Json,
        };
        foreach (var row in Published.Rows) verb.Subcommands.Add(OfRow(row));
        verb.SetAction(async (request, cancellation) =>
        {
            if (request.GetValue(All))
            {
                var folder = request.GetValue(Out) ?? DefaultFolder;
                return await ReproduceAll.RunAsync(
                    Published.Rows, folder, request.GetValue(Jobs) ?? Environment.ProcessorCount,
                    (row, report, stop) => ReproduceAll.InChild(row, folder, report, stop), request, cancellation).ConfigureAwait(false);
            }
            if (request.GetValue(Out) is not null || request.GetValue(Jobs) is not null)
                throw new InputException(
                    $"{Out.Name} and {Jobs.Name} go with {All.Name}, or with an experiment's name; the list: {ShellCommand.Of(Name)}");
            List(request);
            return CommandLine.Done;
        });
        return verb;
    }

    private static readonly Option<bool> Table = new("--table")
    {
        Description = "Show the experiment's whole table and judge nothing; so do the options above.",
    };

    // An experiment with a table of its own is shown by its options, and judged without.
    private static Command OfRow(Reproduction row)
    {
        var (verb, report) = row.Name switch
        {
            ResidualGradientsReport.Name => (ResidualGradientsReport.Create(), ResidualGradientsReport.Run),
            AssociativeRetrievalReport.Name => (AssociativeRetrievalReport.Create(), AssociativeRetrievalReport.Run),
            ParityReport.Name => (ParityReport.Create(), ParityReport.Run),
            _ => (new Command(row.Name, row.Claim), (Func<ParseResult, CancellationToken, int>?)null),
        };
        if (report is not null) verb.Options.Add(Table);
        string[] own = [.. verb.Options.Select(option => option.Name)];
        verb.Options.Add(Out);
        verb.Options.Add(Seed);
        verb.Options.Add(SharedOptions.StopWithInput);
        verb.Options.Add(SharedOptions.Json);
        verb.SetAction((request, cancellation) =>
        {
            if (request.GetValue(All) || request.GetValue(Jobs) is not null)
                throw new InputException($"{All.Name} and {Jobs.Name} go without {row.Name}; leave out one of them.");
            if (request.GetValue(SharedOptions.StopWithInput)) cancellation = StandardInput.CancelAtEnd(cancellation);
            var folder = request.GetValue(Out);
            if (own.FirstOrDefault(name => IsGiven(request, name)) is { } shown)
            {
                return folder is null ? Task.FromResult(report!(request, cancellation)) : throw new InputException(
                    $"{shown}: goes without {Out.Name}, where judged results are kept.");
            }
            var seed = IsGiven(request, Seed.Name) ? request.GetValue(Seed) : row.Seed;
            return Task.FromResult(ReproductionReport.Run(row, folder ?? DefaultFolder, seed, request, cancellation));
        });
        return verb;
    }

    private static bool IsGiven(ParseResult request, string option) =>
        request.GetResult(option) is OptionResult { Implicit: false };

    private static void List(ParseResult request)
    {
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, Published.Rows.Select(row => new
            {
                row.Name,
                row.Paper,
                row.Claim,
                row.Smaller,
                row.Seed,
                row.Minutes,
                Figures = row.Figures.Select(figure => new { figure.What, figure.Published, Bound = figure.Bound.ToString() }),
            }));
            return;
        }
        output.WriteLine($"Run one of them: {ShellCommand.Of(Name, "NAME")}, or all: {ShellCommand.Of(Name, All.Name)}");
        foreach (var row in Published.Rows) output.WriteLine($"  {row.Name,-24}{row.Minutes,5:0.#} min  {row.Claim} ({row.Paper})");
        output.WriteLine($"Together {Published.Rows.Sum(row => row.Minutes):f0} minutes on one thread.");
    }
}
