using System.CommandLine;
using Transformer.Configuration;

namespace Transformer.Cli;

/// <summary><c>reproduce</c>: published experiments that are not plain training runs, each a verb of its own.</summary>
internal static class ReproduceVerb
{
    /// <summary>Seeds everything that an experiment draws at random.</summary>
    public static Option<int> Seed { get; } = new Option<int>("--seed")
    {
        Description =
            "The random seed; if there are several models, the first one's, from which the next ones count up.",
        HelpName = "N",
        DefaultValueFactory = _ => 1337,
    }.Whole(int.MinValue, int.MaxValue - 1000);

    /// <summary>The verb with its experiments.</summary>
    public static Command Create()
    {
        Command[] experiments =
        [
            ResidualGradientsReport.Create(),
            AssociativeRetrievalReport.Create(),
            ParityReport.Create(),
        ];
        var verb = new Command("reproduce", "Repeats published experiments; lists them if none is named.") { SharedOptions.Json };
        foreach (var experiment in experiments) verb.Subcommands.Add(experiment);
        verb.SetAction(request =>
        {
            var output = request.InvocationConfiguration.Output;
            if (request.GetValue(SharedOptions.Json))
            {
                ScriptJson.Write(output, experiments.Select(experiment => new { experiment.Name, experiment.Description }));
                return;
            }
            output.WriteLine($"Run one of them: {ShellCommand.Of("reproduce", "EXPERIMENT")}");
            foreach (var experiment in experiments) output.WriteLine($"  {experiment.Name,-26}{experiment.Description}");
        });
        return verb;
    }
}
