using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Transformer.Runs;

/// <summary>
/// Reads YAML, and with it JSON, into JSON nodes. Plain scalars follow the core schema of YAML 1.2, so <c>no</c> and <c>12:30</c> are text;
/// quoted ones stay text. Tags, anchors and aliases are refused.
/// </summary>
internal sealed partial class YamlReader
{
    // Deeper than any config; protects the stack from a hostile file.
    private const int DeepestNesting = 64;

    private readonly Parser parser;
    private readonly string origin;
    private readonly List<ConfigProblem> problems;

    private YamlReader(string text, string origin, List<ConfigProblem> problems)
    {
        parser = new Parser(new StringReader(text));
        (this.origin, this.problems) = (origin, problems);
    }

    /// <summary>The one document of a text; null where it is empty. Keys that are given twice are added to the problems.</summary>
    /// <exception cref="InputException">The text is not YAML: file, line and column.</exception>
    public static JsonNode? Read(string text, string origin, List<ConfigProblem> problems)
    {
        var reader = new YamlReader(text, origin, problems);
        try
        {
            return reader.ReadDocument();
        }
        catch (YamlException error)
        {
            throw reader.NotYaml(error.Start, error.Message, error);
        }
        // YamlDotNet's scanner throws exceptions of the runtime on some malformed texts.
        catch (Exception error) when (error is InvalidOperationException or ArgumentException or OverflowException or FormatException)
        {
            throw reader.NotYaml(
                reader.parser.Current?.End ?? Mark.Empty, "what follows is not closed or is in the wrong position", error);
        }
    }

    /// <summary>Whether a plain scalar with this text is read as text.</summary>
    public static bool ReadsAsText(string text) => Resolve(text) is JsonValue value && value.TryGetValue(out string? _);

    private JsonNode? ReadDocument()
    {
        parser.Consume<StreamStart>();
        if (parser.Accept<StreamEnd>(out _)) return null;
        parser.Consume<DocumentStart>();
        var root = ReadNode("", 0);
        parser.Consume<DocumentEnd>();
        if (!parser.Accept<StreamEnd>(out _)) throw Refused(parser.Current!, "a second document; a file holds one");
        return root;
    }

    private JsonNode? ReadNode(string path, int depth)
    {
        var start = parser.Consume<ParsingEvent>();
        if (depth > DeepestNesting) throw Refused(start, $"more than {DeepestNesting} levels");
        if (start is AnchorAlias or NodeEvent { Anchor.IsEmpty: false }) throw Refused(start, "an anchor or alias; write the value out");
        if (start is NodeEvent { Tag: { IsEmpty: false, IsNonSpecific: false } tag })
            throw Refused(start, $"the tag {tag.Value}; write the value without it");
        return start switch
        {
            MappingStart => ReadMapping(path, depth),
            SequenceStart => ReadSequence(path, depth),
            Scalar { Style: ScalarStyle.Plain } scalar => Resolve(scalar.Value),
            Scalar scalar => JsonValue.Create(scalar.Value),
            _ => throw Refused(start, "no value"),
        };
    }

    private JsonObject ReadMapping(string path, int depth)
    {
        var mapping = new JsonObject();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (!parser.TryConsume<Scalar>(out var key)) throw Refused(parser.Current!, "a key that is not a single word");
            var keyPath = path.Length == 0 ? key.Value : $"{path}.{key.Value}";
            var value = ReadNode(keyPath, depth + 1);
            if (!mapping.TryAdd(key.Value, value))
                problems.Add(new(keyPath, $"given twice, again in line {key.Start.Line}; keep one"));
        }
        return mapping;
    }

    private JsonArray ReadSequence(string path, int depth)
    {
        var sequence = new JsonArray();
        while (!parser.TryConsume<SequenceEnd>(out _)) sequence.Add(ReadNode($"{path}[{sequence.Count}]", depth + 1));
        return sequence;
    }

    private static JsonValue? Resolve(string text)
    {
        if (text is "" or "~" or "null" or "Null" or "NULL") return null;
        if (text is "true" or "True" or "TRUE") return JsonValue.Create(true);
        if (text is "false" or "False" or "FALSE") return JsonValue.Create(false);
        if (JsonNumber().IsMatch(text)) return JsonNode.Parse(text)!.AsValue();    // keeps the text, for messages
        if (Integer().IsMatch(text) && long.TryParse(text, out var integer)) return JsonValue.Create(integer);
        if (Float().IsMatch(text)) return JsonValue.Create(double.Parse(text, CultureInfo.InvariantCulture));
        if (Infinite().IsMatch(text)) return JsonValue.Create(text[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity);
        if (text is ".nan" or ".NaN" or ".NAN") return JsonValue.Create(double.NaN);
        return JsonValue.Create(text);
    }

    private InputException NotYaml(Mark at, string found, Exception error) =>
        new($"{origin}:{at.Line}:{at.Column}: not YAML: {found}", error);

    private InputException Refused(ParsingEvent at, string found) => new($"{origin}:{at.Start.Line}:{at.Start.Column}: found {found}.");

    [GeneratedRegex(@"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\z")]
    private static partial Regex JsonNumber();

    [GeneratedRegex(@"^[-+]?[0-9]+\z")]
    private static partial Regex Integer();

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\z")]
    private static partial Regex Float();

    [GeneratedRegex(@"^[-+]?\.(inf|Inf|INF)\z")]
    private static partial Regex Infinite();
}
