using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Runs;

/// <summary>
/// The tables of docs/configuration.md, made from the records: every key, its values, its default and its documentation.
/// </summary>
internal sealed partial class ConfigurationPage
{
    private readonly XmlSummaries summaries = XmlSummaries.Load(typeof(RunConfig).Assembly, typeof(ModelConfig).Assembly);
    private readonly StringBuilder page = new();
    private readonly Dictionary<Type, string> titles = [];
    private readonly Dictionary<Type, object> initial = [];    // the values of a part that its owner has from the start
    private List<(string Title, Type Type)> parts = [];

    /// <summary>All sections, from the run's own on, each part after what it is a part of.</summary>
    public static string Create()
    {
        var made = new ConfigurationPage();
        made.Section("The run", typeof(RunConfig));
        return made.page.ToString().TrimEnd() + "\n";
    }

    private void Section(string title, Type type)
    {
        parts = [];
        page.Append(CultureInfo.InvariantCulture, $"## {title}\n\n{Summary(type)}\n\n");
        var path = title == "The run" ? "" : title + ".";
        var info = ConfigJson.Options.GetTypeInfo(type);
        if (info.PolymorphismOptions is not { } choice)
        {
            Keys(info.Properties, type, path, initial.GetValueOrDefault(type));
        }
        else
        {
            page.Append("| `kind` | meaning |\n| --- | --- |\n");
            foreach (var kind in choice.DerivedTypes)
                page.Append(CultureInfo.InvariantCulture, $"| `{kind.TypeDiscriminator}` | {Summary(kind.DerivedType)} |\n");
            page.Append('\n');
            var shared = info.Properties.ToList();
            if (shared.Count > 0) page.Append("Keys of every kind:\n\n");
            if (shared.Count > 0) Keys(shared, choice.DerivedTypes[0].DerivedType, path);
            foreach (var kind in choice.DerivedTypes)
            {
                var own = ConfigJson.Options.GetTypeInfo(kind.DerivedType).Properties.Where(property =>
                    shared.All(other => other.Name != property.Name)).ToList();
                if (own.Count == 0) continue;
                page.Append(CultureInfo.InvariantCulture, $"Keys of `{kind.TypeDiscriminator}`:\n\n");
                Keys(own, kind.DerivedType, path);
            }
        }
        if (type == typeof(ModelConfig))
            page.Append("`preset` may stand among these keys in a file: it names an architecture (`recipes` lists them) over which the " +
                "other keys are laid.\n\n");
        foreach (var part in parts) Section(part.Title, part.Type);
    }

    private void Keys(IEnumerable<JsonPropertyInfo> properties, Type type, string path, object? given = null)
    {
        var made = given ?? Activator.CreateInstance(type)!;
        page.Append("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        foreach (var property in properties)
        {
            var initially = property.Get!(made);
            var value = property.IsRequired && given is null ? "**required**" : Default(initially);
            if (initially is not null) initial.TryAdd(property.PropertyType, initially);
            page.Append(CultureInfo.InvariantCulture, $"| `{property.Name}` | {Value(property.PropertyType, path + property.Name)} | " +
                $"{value} | {Summary((MemberInfo)property.AttributeProvider!)} |\n");
        }
        page.Append('\n');
    }

    private string Value(Type declared, string path)
    {
        var type = Nullable.GetUnderlyingType(declared) ?? declared;
        var info = ConfigJson.Options.GetTypeInfo(type);
        if (type == typeof(LinearRule)) return string.Join(", ", LinearRule.All.Select(rule => $"`{rule.Name}`"));
        if (type == typeof(LayersConfig))
            return $"integer, or a list of integers and {Link(typeof(HourglassConfig), path, "hourglasses")}";
        if (type.IsEnum)
            return string.Join(", ", Enum.GetValues(type).Cast<object>()
                .Select(value => $"`{JsonSerializer.SerializeToNode(value, type, ConfigJson.Options)!.GetValue<string>()}`"));
        return (info.Kind, Type.GetTypeCode(type)) switch
        {
            (JsonTypeInfoKind.Object, _) => Link(type, path, "part"),
            (JsonTypeInfoKind.Dictionary, _) => $"by name: {Link(info.ElementType!, path, "parts")}",
            (JsonTypeInfoKind.Enumerable, _) => ConfigJson.Options.GetTypeInfo(info.ElementType!).Kind == JsonTypeInfoKind.Object
                ? $"list of {Link(info.ElementType!, path, "parts")}"
                : $"list of {Value(info.ElementType!, path)}",
            (_, TypeCode.Boolean) => "true or false",
            (_, TypeCode.Int32 or TypeCode.Int64) => "integer",
            (_, TypeCode.Double) => "number",
            _ => "text",
        };
    }

    private string Link(Type type, string path, string word)
    {
        var title = Refer(type, path);
        return $"{word}, see [{title}](#{title.Replace(".", "").Replace(' ', '-').ToLowerInvariant()})";
    }

    private string Refer(Type type, string title)
    {
        if (titles.TryAdd(type, title)) parts.Add((title, type));
        return titles[type];
    }

    private static string Default(object? value) => value switch
    {
        null => "absent",
        ICollection { Count: 0 } => "none",
        _ => $"`{Brief(JsonSerializer.SerializeToNode(value, Family(value.GetType()), ConfigJson.Options))}`",
    };

    // The type whose serialised form has the kind.
    private static Type Family(Type type) =>
        type.BaseType is { } parent && parent != typeof(object) && !type.IsValueType ? Family(parent) : type;

    // A part in one line, without the keys that have their defaults.
    private static string Brief(JsonNode? node) => node switch
    {
        JsonObject part when part["kind"] is { } kind => $"{{kind: {kind}}}",
        JsonObject part => $"{{{string.Join(", ", part.Select(pair => $"{pair.Key}: {Brief(pair.Value)}"))}}}",
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        null => "absent",
        _ => node.ToJsonString().Replace("E", "e", StringComparison.Ordinal),
    };

    private string Summary(MemberInfo member) =>
        Code().Replace(summaries.Of(member) ?? throw new InvalidOperationException($"{member} has no documentation"), "`$0`")
            .Replace("|", "\\|");

    // Keys, paths and patterns are formatted as code.
    [GeneratedRegex(@"(?<![\w`.])(builtin:\w+|model\.layers\.0\.\*|[a-z]+(_[a-z0-9]+)+)(?![\w`])")]
    private static partial Regex Code();
}
