using System.Text.Json.Nodes;
using Transformer.Cli;

namespace Transformer.Tests.Cli;

/// <summary>The result of a request.</summary>
internal sealed record CliRun(int Code, string Output, string Error)
{
    public JsonNode Json => JsonNode.Parse(Output)!;

    public static async Task<CliRun> Of(params string[] arguments)
    {
        var (output, error) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" });
        var code = await CommandLine.RunAsync(Program.Commands(), arguments, output, error);
        return new(code, output.ToString(), error.ToString());
    }

    /// <summary>The same for a line without quotes.</summary>
    public static Task<CliRun> Of(string line) => Of(line.Split(' '));

    /// <summary>Asserts that a line is refused with a message and without output.</summary>
    public static async Task Refuses(string line, string message)
    {
        var run = await Of(line);
        Assert.Equal((CommandLine.Refused, ""), (run.Code, run.Output));
        Assert.Contains(message, run.Error);
        Assert.InRange(run.Error.TrimEnd().Split('\n').Length, 1, 2);
    }
}
