using System.Text.Json;
using System.Text.RegularExpressions;

namespace Transformer.Configuration;

/// <summary>What is wrong with a JSON text, as a user can read it: without the parser's own advice, and with its lines from 1.</summary>
internal static partial class JsonProblem
{
    /// <summary>The problem in words, behind its place where that is known.</summary>
    public static string Of(Exception failure)
    {
        if (failure is not JsonException json) return failure.Message;
        if (json.Message.StartsWith("The input does not contain any JSON tokens", StringComparison.Ordinal)) return "it is empty";
        var text = json.Message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal)
            ? $"the value at {json.Path} is of another type than expected" : Advice().Replace(json.Message, "").TrimEnd('.', ' ');
        return json.LineNumber is { } line ? $"line {line + 1}, byte {json.BytePositionInLine + 1}: {text}" : text;
    }

    [GeneratedRegex(@" Change the reader options\.| (Path|LineNumber): .*$")]
    private static partial Regex Advice();
}
