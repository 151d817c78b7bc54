using System.CommandLine;
using System.Globalization;
using Transformer.Configuration;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary><c>reproduce parity</c>: accuracy by length of DeltaNet with eigenvalues from 0 to 1 and from -1 to 1.</summary>
internal static class ParityReport
{
    /// <summary>Its name.</summary>
    public const string Name = "parity";

    private static readonly Option<int> Seeds = new Option<int>("--seeds")
    {
        Description = "The number of models of each kind; default: 3.",
        HelpName = "N",
        DefaultValueFactory = _ => 3,
    }.Whole(1, 1000);

    private static readonly Option<int> Steps = new Option<int>("--steps")
    {
        Description = $"The number of training steps; default: {Parity.DefaultSteps}.",
        HelpName = "N",
        DefaultValueFactory = _ => Parity.DefaultSteps,
    }.Whole(1, 10_000_000);

    private static readonly Option<int> ConvolutionWidth = new Option<int>("--convolution-width")
    {
        Description = "The tokens that the short convolution sees, 2 or more; default: 0 for none.",
        HelpName = "W",
    }.Whole(0, 256);

    /// <summary>The experiment's verb, without what all have.</summary>
    public static Command Create() => new(
        Name, "Whether DeltaNet solves parity past the trained length, without and with negative eigenvalues (Grazzi et al. 2024).")
    {
        Seeds, Steps, ConvolutionWidth,
    };

    /// <summary>Prints the report.</summary>
    public static int Run(ParseResult request, CancellationToken cancellation)
    {
        var width = request.GetValue(ConvolutionWidth);
        if (width == 1)
            throw new InputException($"{ConvolutionWidth.Name}: found {width}, expected 2 or more, or 0 for none.");
        var seeds = Enumerable.Range(request.GetValue(ReproduceVerb.Seed), request.GetValue(Seeds));
        var results = from negative in (bool[])[false, true]
                      from seed in seeds
                      select Parity.Run(negative, seed, width, request.GetValue(Steps), cancellation);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, results.ToList());
            return CommandLine.Done;
        }
        output.WriteLine($"Accuracy of the parity at the last 16 places, trained on {Parity.Lengths[0]} bits; 0.5 is chance");
        output.WriteLine($"{"eigenvalues",-13}{"seed",-7}{Columns(Parity.Lengths.Select(length => $"{length}"))}seconds");
        foreach (var result in results)
            output.WriteLine(
                $"{(result.NegativeEigenvalues ? "-1 to 1" : "0 to 1"),-13}{result.Seed,-7}" +
                $"{Columns(result.Curve.Select(point => point.Accuracy.ToString("f4", CultureInfo.InvariantCulture)))}{result.Seconds:f0}");
        return CommandLine.Done;
    }

    private static string Columns(IEnumerable<string> cells) => string.Concat(cells.Select(cell => $"{cell,-9}"));
}
