using System.Text.Json.Serialization.Metadata;

namespace Transformer.Configuration;

/// <summary>
/// The kinds that other assemblies have added to the configuration, beside those that a family's attributes list. Adding one renews the
/// options by which configurations are read.
/// </summary>
internal static class AddedKinds
{
    private static volatile IReadOnlyDictionary<Type, string> names = new Dictionary<Type, string>();

    /// <summary>The families that can be added to.</summary>
    public static IReadOnlyList<Type> Families { get; } = [typeof(AttentionConfig), typeof(MlpConfig), typeof(NormConfig)];

    /// <summary>The added records with their words. Another object after each addition.</summary>
    public static IReadOnlyDictionary<Type, string> Names => names;

    /// <summary>What knows the properties of the added records; null while there are none.</summary>
    public static IJsonTypeInfoResolver? Resolver { get; private set; }

    /// <summary>Adds a record that derives from one of the families.</summary>
    /// <param name="record">The record's type.</param>
    /// <param name="name">Its word.</param>
    /// <param name="resolver">What knows the record's properties.</param>
    public static void Add(Type record, string name, IJsonTypeInfoResolver resolver)
    {
        Resolver = resolver;
        names = new Dictionary<Type, string>(names) { [record] = name };
    }

    /// <summary>The family of a record; null where it belongs to none that can be added to.</summary>
    public static Type? FamilyOf(Type record) => Families.FirstOrDefault(family => family.IsAssignableFrom(record));
}
