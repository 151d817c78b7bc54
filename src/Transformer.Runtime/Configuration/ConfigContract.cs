using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Transformer.Configuration;

/// <summary>The JSON form of configuration records: snake_case names, parts told apart by <c>kind</c>, unknown keys refused.</summary>
/// <param name="resolver">What knows the properties of the library's records.</param>
internal sealed class ConfigContract(IJsonTypeInfoResolver resolver)
{
    private volatile Renewable current = Create(resolver);

    /// <summary>The options, which know all kinds that have been added so far.</summary>
    public JsonSerializerOptions Options
    {
        get
        {
            var options = current;
            if (options.Kinds != AddedKinds.Names) current = options = Create(resolver);
            return options.Options;
        }
    }

    private static Renewable Create(IJsonTypeInfoResolver resolver)
    {
        var kinds = AddedKinds.Names;
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            AllowOutOfOrderMetadataProperties = true,
            RespectNullableAnnotations = true,
            // The files are read by people, not embedded in HTML: quotes and accents are not escaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            WriteIndented = true,
            TypeInfoResolver = JsonTypeInfoResolver.Combine(resolver, AddedKinds.Resolver).WithAddedModifier(type => Adapt(type, kinds)),
        };
        options.MakeReadOnly();
        return new(kinds, options);
    }

    private static void Adapt(JsonTypeInfo type, IReadOnlyDictionary<Type, string> kinds)
    {
        foreach (var (record, name) in kinds)
            if (AddedKinds.FamilyOf(record) == type.Type) type.PolymorphismOptions!.DerivedTypes.Add(new(record, name));
        KeepSettableProperties(type);
        OrderAsDeclared(type);
        KeepInitialValues(type);
    }

    // A computed property is not a key of the file.
    private static void KeepSettableProperties(JsonTypeInfo type)
    {
        var computed = type.Properties.Where(property => property.Set is null).ToList();
        foreach (var property in computed) type.Properties.Remove(property);
    }

    // The serializer lists a derived record's own properties first; readers expect what all kinds share before what one kind adds.
    private static void OrderAsDeclared(JsonTypeInfo type)
    {
        foreach (var property in type.Properties) property.Order = Depth(property.DeclaringType);
    }

    private static int Depth(Type type) => type.BaseType is { } parent ? 1 + Depth(parent) : 0;

    // Generated code sets every init property, to zero where the file has no such key. Here the record is created first, with its own
    // defaults, and then gets the values of the file.
    private static void KeepInitialValues(JsonTypeInfo type)
    {
        if (type.CreateObject is not null || type.ConstructorAttributeProvider is not ConstructorInfo constructor) return;
        if (constructor.GetParameters().Length > 0) return;
        type.CreateObject = () => constructor.Invoke([]);
        foreach (var property in type.Properties) property.Set = ((PropertyInfo)property.AttributeProvider!).SetValue;
    }

    private sealed record Renewable(IReadOnlyDictionary<Type, string> Kinds, JsonSerializerOptions Options);
}
