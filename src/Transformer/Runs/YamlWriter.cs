using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Transformer.Runs;

/// <summary>Writes JSON nodes as readable YAML: a part that holds only single values is put on one line.</summary>
internal static class YamlWriter
{
    // More keys than these are easier to read below each other.
    private const int MostKeysOnALine = 9;

    /// <summary>The YAML of a tree; <see cref="YamlReader"/> reads the same tree back.</summary>
    public static string Write(JsonObject root)
    {
        var text = new StringWriter { NewLine = "\n" };
        var emitter = new Emitter(text, EmitterSettings.Default.WithBestWidth(int.MaxValue));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart(null, null, isImplicit: true));
        Write(emitter, root, isRoot: true);
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return text.ToString();
    }

    private static void Write(Emitter emitter, JsonNode? node, bool isRoot = false)
    {
        switch (node)
        {
            case JsonObject mapping:
                var isOneLine = !isRoot && mapping.Count <= MostKeysOnALine && mapping.All(entry => IsSingle(entry.Value));
                emitter.Emit(new MappingStart(null, null, isImplicit: true, isOneLine ? MappingStyle.Flow : MappingStyle.Block));
                foreach (var (key, value) in mapping)
                {
                    emitter.Emit(new Scalar(key));
                    Write(emitter, value);
                }
                emitter.Emit(new MappingEnd());
                break;
            case JsonArray sequence:
                emitter.Emit(
                    new SequenceStart(null, null, isImplicit: true, sequence.All(IsSingle) ? SequenceStyle.Flow : SequenceStyle.Block));
                foreach (var item in sequence) Write(emitter, item);
                emitter.Emit(new SequenceEnd());
                break;
            default:
                emitter.Emit(Scalar(node));
                break;
        }
    }

    private static bool IsSingle(JsonNode? node) => node is null or JsonValue or JsonArray { Count: 0 };

    private static Scalar Scalar(JsonNode? node)
    {
        var kind = node?.GetValueKind() ?? JsonValueKind.Null;
        var text = kind switch
        {
            JsonValueKind.String => node!.GetValue<string>(),
            JsonValueKind.Number => Short(node!.ToJsonString()),
            _ => node?.ToJsonString() ?? "null",
        };
        var style = kind == JsonValueKind.String && !YamlReader.ReadsAsText(text) ? ScalarStyle.DoubleQuoted : ScalarStyle.Any;
        return new Scalar(AnchorName.Empty, TagName.Empty, text, style, isPlainImplicit: true, isQuotedImplicit: true);
    }

    // 1E-05 becomes 1e-5.
    private static string Short(string number)
    {
        var parts = number.Split('E', 'e');
        return parts.Length == 1 ? number : $"{parts[0]}e{int.Parse(parts[1], CultureInfo.InvariantCulture)}";
    }
}
