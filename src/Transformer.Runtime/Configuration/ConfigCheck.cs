using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Transformer.Configuration;

/// <summary>
/// Holds a JSON tree against a record type and collects everything that is wrong at once: keys, kinds, types and missing keys by the
/// serializer's own metadata, then the values by each record's <see cref="IValidated"/>.
/// </summary>
internal sealed class ConfigCheck(JsonSerializerOptions options, List<ConfigProblem> problems)
{
    private const string KindKey = "kind";

    // Paths of keys whose values could not be used.
    private readonly List<string> unusable = [];

    /// <summary>The record, as far as it can be bound; what is wrong with it joins the problems.</summary>
    public T? Bind<T>(JsonNode? json) where T : notnull =>
        Sound(json, typeof(T), "") is { } sound ? sound.Deserialize((JsonTypeInfo<T>)options.GetTypeInfo(typeof(T))) : default;

    // The node without what is wrong in it; null where it cannot be bound to the type. What is wrong has joined the problems. The initial
    // value is the one that the owner of the node would have without it.
    private JsonNode? Sound(JsonNode? node, Type type, string path, object? initial = null)
    {
        var info = options.GetTypeInfo(Nullable.GetUnderlyingType(type) ?? type);
        if (node is null) return Wrong(path, $"found {ConfigScalar.Found(node)}, expected {ConfigScalar.Expected(info)}");
        if (info.Type == typeof(LayersConfig)) return SoundLayers(node, path);
        return info.Kind switch
        {
            JsonTypeInfoKind.Object => node is JsonObject record ? SoundRecord(record, info, path, initial)
                : WrongType(node, path, "keys and values"),
            JsonTypeInfoKind.Enumerable => node is JsonArray list ? SoundList(list, info, path) : WrongType(node, path, "a list"),
            JsonTypeInfoKind.Dictionary => node is JsonObject map ? SoundMap(map, info, path) : WrongType(node, path, "keys and values"),
            _ => ConfigScalar.Problem(node, info) is { } problem ? Wrong(path, problem) : ConfigScalar.Plain(node, info),
        };
    }

    // A number of blocks, or a list of such numbers and of hourglasses.
    private JsonNode? SoundLayers(JsonNode node, string path)
    {
        if (node is JsonObject) return WrongType(node, path, "a number of blocks, or a list of numbers and hourglasses");
        if (node is not JsonArray list) return Sound(node, typeof(int), path);
        if (list.Count == 0) return Wrong(path, "found an empty list, expected a number of blocks, or a list of numbers and hourglasses");
        var items = list.Select((item, index) =>
            Sound(item, item is JsonObject ? typeof(HourglassConfig) : typeof(int), $"{path}[{index}]")).ToArray();
        return items.Contains(null) ? null : new JsonArray(items);
    }

    private JsonArray? SoundList(JsonArray list, JsonTypeInfo info, string path)
    {
        var items = list.Select((item, index) => Sound(item, info.ElementType!, $"{path}[{index}]")).ToArray();
        return items.Contains(null) ? null : new JsonArray(items);
    }

    private JsonObject? SoundMap(JsonObject map, JsonTypeInfo info, string path)
    {
        var entries = map.Select(entry => KeyValuePair.Create(entry.Key, Sound(entry.Value, info.ElementType!, Join(path, entry.Key))))
            .ToList();
        return entries.Exists(entry => entry.Value is null) ? null : new JsonObject(entries);
    }

    private JsonObject? SoundRecord(JsonObject record, JsonTypeInfo declared, string path, object? initial)
    {
        var discriminator = declared.PolymorphismOptions?.TypeDiscriminatorPropertyName;
        var defaultKind = discriminator is null || record.ContainsKey(discriminator) ? null : KindOf(initial, declared);
        if (defaultKind is not null) record = WithKind(record, discriminator!, defaultKind);
        if (Concrete(record, declared, path) is not { } info) return null;
        var owner = info.CreateObject?.Invoke();
        var sound = new JsonObject();
        foreach (var (key, value) in record)
        {
            if (key == discriminator)
            {
                sound[key] = value!.DeepClone();
                continue;
            }
            if (discriminator is null && IsOnlyKind(key, value, info, path)) continue;
            var property = Property(info, key) ?? Meant(record, info, key, path, defaultKind);
            if (property is null) continue;
            var part = Join(path, property.Name);
            if (value is null && AllowsNull(property)) sound[property.Name] = null;
            else if (Sound(value, property.PropertyType, part, Initial(owner, property)) is { } node) sound[property.Name] = node;
            else unusable.Add(part);
        }
        if (initial is not null && (discriminator is null || defaultKind is not null))
            AddMissing(sound, JsonSerializer.SerializeToNode(initial, info)!.AsObject(), path);
        var missing = info.Properties.Where(property => property.IsRequired && !sound.ContainsKey(property.Name)).ToList();
        foreach (var property in missing.Where(property => !unusable.Contains(Join(path, property.Name))))
            Wrong(Join(path, property.Name), $"missing; expected {ConfigScalar.Expected(options.GetTypeInfo(property.PropertyType))}");
        if (missing.Count > 0) return null;
        Validate(sound.Deserialize(declared), record, info, path);
        return sound;
    }

    private static JsonObject WithKind(JsonObject record, string discriminator, string kind)
    {
        var named = new JsonObject { [discriminator] = kind };
        foreach (var (key, value) in record) named[key] = value?.DeepClone();
        return named;
    }

    // The kind that a part has where none is given; null where it has no default.
    private static string? KindOf(object? initial, JsonTypeInfo declared) => initial is null ? null
        : declared.PolymorphismOptions!.DerivedTypes.FirstOrDefault(kind => kind.DerivedType == initial.GetType())
            .TypeDiscriminator as string;

    private static object? Initial(object? owner, JsonPropertyInfo property) => owner is null ? null : property.Get?.Invoke(owner);

    // Where there is no choice of kinds, or none is made, a part that is given in part has its owner's values in the other keys.
    private void AddMissing(JsonObject sound, JsonObject initial, string path)
    {
        foreach (var (key, value) in initial)
            if (!sound.ContainsKey(key) && !unusable.Contains(Join(path, key))) sound[key] = value?.DeepClone();
    }

    // A part that can be of one kind only may say so.
    private bool IsOnlyKind(string key, JsonNode? value, JsonTypeInfo info, string path)
    {
        if (key != KindKey || Property(info, key) is not null || Kind.NameOf(info.Type) is var kind && kind == info.Type.Name) return false;
        if (value?.GetValueKind() != JsonValueKind.String || value.GetValue<string>() != kind)
            Wrong(Join(path, key), $"found {ConfigScalar.Found(value)}, expected {kind}");
        return true;
    }

    // A key that could not be used has its default here, so that problems of its record are not the user's and are dropped.
    private void Validate(object? record, JsonObject given, JsonTypeInfo info, string path)
    {
        if (record is not IValidated validated) return;
        foreach (var problem in validated.Problems())
        {
            string[] parts = problem.Alternative is { } other ? [Join(path, FirstKey(problem.Path)), Join(path, other)]
                : [Join(path, FirstKey(problem.Path))];
            if (!parts.Any(part => unusable.Exists(key => key == part || key.StartsWith(part + ".") || key.StartsWith(part + "["))))
                Wrong(Join(path, problem.Path), AsTyped(problem, record, given, info));
        }
    }

    // Shows the value as it was typed: 1e2, not 100.
    private static string AsTyped(ConfigProblem problem, object record, JsonObject given, JsonTypeInfo info)
    {
        if (given[problem.Path] is not { } typed || typed.GetValueKind() != JsonValueKind.Number) return problem.Message;
        var shown = string.Create(CultureInfo.InvariantCulture, $"found {Property(info, problem.Path)?.Get?.Invoke(record)}");
        return problem.Message.StartsWith(shown + ",", StringComparison.Ordinal)
            ? $"found {ConfigScalar.Found(typed)}{problem.Message[shown.Length..]}" : problem.Message;
    }

    // The type that `kind` names, where there is a choice.
    private JsonTypeInfo? Concrete(JsonObject record, JsonTypeInfo declared, string path)
    {
        if (declared.PolymorphismOptions is not { } choice) return declared;
        var key = choice.TypeDiscriminatorPropertyName;
        var kinds = choice.DerivedTypes.ToDictionary(derived => (string)derived.TypeDiscriminator!, derived => derived.DerivedType);
        var allowed = string.Join(", ", kinds.Keys);
        record.TryGetPropertyValue(key, out var value);
        if (value is null) Wrong(Join(path, key), $"missing; expected one of {allowed}");
        else if (value.GetValueKind() != JsonValueKind.String) WrongType(value, Join(path, key), $"one of {allowed}");
        else if (kinds.TryGetValue(value.GetValue<string>(), out var type)) return options.GetTypeInfo(type);
        else Wrong(Join(path, key), Spelling.NotOneOf(value.GetValue<string>(), kinds.Keys) + Elsewhere(declared.Type));
        return null;
    }

    private static string Elsewhere(Type family) =>
        AddedKinds.Families.Contains(family) && AddedKinds.Names.Count == 0 ? "; a kind of your own needs --kinds FILE.dll" : "";

    // An unknown key that is nearly a known one is checked as that one, so that problems inside are reported at the same time.
    private JsonPropertyInfo? Meant(JsonObject record, JsonTypeInfo info, string key, string path, string? defaultKind)
    {
        var names = info.Properties.Select(property => property.Name).ToList();
        var nearest = Spelling.Nearest(key, names);
        Wrong(Join(path, key), nearest is null
            ? $"unknown key; expected {(names.Count == 0 ? "no keys" : $"one of {string.Join(", ", names)}")}"
                + (defaultKind is null ? "" : $", since the kind is {defaultKind} where {Join(path, KindKey)} is not given")
            : $"unknown key; did you mean {Join(path, nearest)}?");
        return nearest is null || record.ContainsKey(nearest) ? null : Property(info, nearest);
    }

    private static JsonPropertyInfo? Property(JsonTypeInfo info, string key) =>
        info.Properties.FirstOrDefault(property => property.Name == key);

    private static bool AllowsNull(JsonPropertyInfo property) =>
        property.PropertyType.IsValueType ? Nullable.GetUnderlyingType(property.PropertyType) is not null : property.IsSetNullable;

    private static string FirstKey(string path) => path.Split('.', '[')[0];

    private static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    private JsonNode? WrongType(JsonNode node, string path, string expected) =>
        Wrong(path, $"found {ConfigScalar.Found(node)}, expected {expected}");

    private JsonNode? Wrong(string path, string message)
    {
        problems.Add(new ConfigProblem(path.Length == 0 ? "the file" : path, message));
        return null;
    }
}
