using System.CommandLine;
using Transformer.Configuration;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary>
/// <c>reproduce associative-retrieval</c>: how many associations a memory of each rule separates, beside the paper's losses.
/// </summary>
internal static class AssociativeRetrievalReport
{
    /// <summary>Its name.</summary>
    public const string Name = "associative-retrieval";

    private static readonly Option<RetrievalRule[]> Rules = new("--rule")
    {
        Description = "Only this rule; may be given again; default: all.",
        HelpName = "RULE",
        DefaultValueFactory = _ => Enum.GetValues<RetrievalRule>(),
        CustomParser = result => ScriptJson.Parse<RetrievalRule>("--rule", result),
    };

    private static readonly Option<int[]> Keys = new Option<int[]>("--keys")
    {
        Description = "This number of keys; may be given again; default: those of the paper.",
        HelpName = "S",
    }.Whole(1, 10_000);

    private static readonly Option<bool> Replacement = new("--replacement")
    {
        Description = "With --keys: keys repeat, with other values.",
    };

    /// <summary>The experiment's verb, without what all have.</summary>
    public static Command Create() => new(
        Name, "How many associations linear attention, the delta rule and softmax hold (Schlag et al. 2021).")
    {
        Rules, Keys, Replacement,
    };

    /// <summary>Prints the report.</summary>
    public static int Run(ParseResult request, CancellationToken cancellation)
    {
        var rules = request.GetRequiredValue(Rules);
        if (request.GetValue(Replacement) && request.GetValue(Keys) is not { Length: > 0 })
            throw new InputException("--replacement: goes with --keys; the paper's table has both kinds.");
        var cells = request.GetValue(Keys) is { Length: > 0 } asked
            ? from rule in rules from keys in asked select (Rule: rule, Replacement: request.GetValue(Replacement), Keys: keys)
            : AssociativeRetrieval.Figures.Keys.Where(cell => rules.Contains(cell.Rule));
        var results = cells.Select(cell => AssociativeRetrieval.Run(
            cell.Rule, cell.Replacement, cell.Keys, request.GetValue(ReproduceVerb.Seed), cancellation: cancellation));
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, results.ToList());
            return CommandLine.Done;
        }
        output.WriteLine($"{"rule",-9}{"keys repeat",-17}{"keys",-6}{"loss",-9}{"published",-11}{"steps",-8}seconds");
        foreach (var result in results)
            output.WriteLine(
                $"{ScriptJson.Name(result.Rule),-9}{(result.Replacement ? "yes" : "no"),-17}{result.Keys,-6}" +
                $"{result.Loss,-9:f4}{result.Published,-11:f4}{result.Steps,-8}{result.Seconds:f0}");
        return CommandLine.Done;
    }
}
