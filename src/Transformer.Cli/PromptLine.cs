using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Generation;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary>One prompt of a prompt file.</summary>
/// <param name="Origin">The file and the line, for messages.</param>
/// <param name="Text">The text to continue.</param>
/// <param name="Options">How its tokens are chosen.</param>
internal sealed record PromptLine(string Origin, string Text, SamplingOptions Options)
{
    private const string Key = "prompt";

    /// <summary>
    /// The prompts of a file, one per line; in a .jsonl file one object per line with the prompt and the options that differ from the
    /// command line's: {"prompt": "Once", "temperature": 0.5, "seed": 3}. Empty lines are skipped.
    /// </summary>
    /// <param name="file">The file.</param>
    /// <param name="options">The options of the command line.</param>
    /// <exception cref="InputException">The file cannot be read or has no prompts, or a line is wrong.</exception>
    public static IReadOnlyList<PromptLine> Read(string file, SamplingOptions options)
    {
        var isJson = Path.GetExtension(file) is ".jsonl";
        PromptLine[] prompts =
        [
            .. Utf8File.Read(file, "prompts").Split('\n').Select((line, index) => (Line: line.TrimEnd('\r'), Origin: $"{file}:{index + 1}"))
                .Where(line => line.Line.Length > 0)
                .Select(line => isJson ? Parse(line.Line, line.Origin, options) : new(line.Origin, line.Line, options)),
        ];
        return prompts.Length > 0 ? prompts : throw new InputException($"{file}: holds no prompts, expected one per line.");
    }

    private static PromptLine Parse(string line, string origin, SamplingOptions options)
    {
        JsonNode? json;
        try
        {
            json = JsonNode.Parse(line, documentOptions: new() { AllowDuplicateProperties = false });
            json?.ToJsonString();    // half of a surrogate pair is found only now
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InputException($"{origin}: is no JSON ({JsonProblem.Of(e)}); expected an object like {{\"{Key}\": \"Once\"}}.", e);
        }
        if (json is not JsonObject given || given[Key] is not JsonValue value || !value.TryGetValue<string>(out var text))
            throw new InputException($"{origin}: found {json?.ToJsonString() ?? "null"}, expected an object like {{\"{Key}\": \"Once\"}}.");
        var all = ConfigJson.ToJson(options).AsObject();
        foreach (var (key, found) in given)
            if (key != Key) all[key] = found?.DeepClone();
        return new(origin, text, ConfigJson.FromJson<SamplingOptions>(all, origin) with { Constraint = options.Constraint });
    }
}
