using System.CommandLine;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary><c>reproduce residual-gradients</c>: the gradient by depth under pre-norm and post-norm, beside the theory.</summary>
internal static class ResidualGradientsReport
{
    /// <summary>Its name.</summary>
    public const string Name = "residual-gradients";

    /// <summary>The experiment's verb, without what all have.</summary>
    public static Command Create() => new(
        Name, "How gradients at initialization depend on depth under pre-norm and post-norm (Xiong et al. 2020).");

    /// <summary>Prints the report.</summary>
    public static int Run(ParseResult request, CancellationToken cancellation)
    {
        var result = ResidualGradients.Run(request.GetValue(ReproduceVerb.Seed), cancellation: cancellation);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, result);
            return CommandLine.Done;
        }
        output.WriteLine($"Norm of the gradient of the last MLP's output matrix before the first step, mean of {result.Seeds} models");
        output.WriteLine($"{"layers",-12}{"pre_norm",-12}post_norm");
        foreach (var row in result.Rows) output.WriteLine($"{row.Layers,-12}{row.PreNorm,-12:f4}{row.PostNorm:f4}");
        output.WriteLine($"{"slope",-12}{result.PreNormSlope,-12:f3}{result.PostNormSlope:f3}");
        output.WriteLine($"{"published",-12}{-0.5,-12:f3}{0.0:f3}");
        return CommandLine.Done;
    }
}
