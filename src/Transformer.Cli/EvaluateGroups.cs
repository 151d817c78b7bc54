using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Inference.Torch;

namespace Transformer.Cli;

/// <summary><c>evaluate --groups</c>: where hourglasses end their groups, and how well that agrees with white space.</summary>
internal static class EvaluateGroups
{
    /// <summary>Measures each model.</summary>
    /// <param name="request">The device, and whether JSON is wanted.</param>
    /// <param name="models">Their paths.</param>
    /// <param name="given">The text; each run's own validation text where null.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="InputException">A model or a text cannot be used, or a model has no boundaries.</exception>
    public static int Run(ParseResult request, IReadOnlyList<string> models, TextSource? given, CancellationToken cancellation)
    {
        var device = SharedOptions.DeviceOf(request);
        List<(string Model, GroupEvaluation Groups)> found = [];
        foreach (var path in models)
        {
            using var loaded = LoadedModel.Open(path, device);
            using var text = given is null ? EvaluatePositions.Own(path) : TextEvaluation.Of(given, loaded.Tokenizer);
            var groups = GroupEvaluation.Measure(loaded.Model, text, loaded.Tokenizer, cancellation);
            if (groups.Count == 0)
            {
                throw new InputException(
                    $"{path}: has no hourglass whose groups end at boundaries (model.layers: {loaded.Model.Config.Layers}).");
            }
            found.AddRange(groups.Select(own => (path, own)));
        }
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, found.Select(own => new
            {
                own.Model,
                own.Groups.Boundaries,
                own.Groups.Tokens,
                own.Groups.Rate,
                own.Groups.Precision,
                own.Groups.Recall,
                own.Groups.F1,
                own.Groups.RandomF1,
            }));
            return CommandLine.Done;
        }
        var width = Math.Max("model".Length, found.Max(own => own.Model.Length));
        output.WriteLine($"{"model".PadRight(width)}  boundaries      rate  tokens/group  F1 with white space  of random ends");
        foreach (var (model, groups) in found)
        {
            output.WriteLine($"{model.PadRight(width)}  {groups.Boundaries,-12}  {groups.Rate,6:f4}  {1 / groups.Rate,12:f2}  " +
                $"{groups.F1,19:f4}  {groups.RandomF1,14:f4}");
        }
        return CommandLine.Done;
    }
}
