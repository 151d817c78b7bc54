using System.Reflection;
using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>The names of kinds in configurations, and the error for a kind that is not implemented.</summary>
public static class Kind
{
    /// <summary>
    /// The <c>kind</c> of a part as a configuration writes it, such as <c>softmax</c>; the record's name where none is registered.
    /// </summary>
    /// <param name="part">A record of the configuration.</param>
    public static string NameOf(object part) => NameOf(part.GetType());

    /// <inheritdoc cref="NameOf(object)"/>
    /// <param name="part">The record's type.</param>
    public static string NameOf(Type part)
    {
        if (AddedKinds.Names.TryGetValue(part, out var added)) return added;
        for (var family = part.BaseType; family is not null; family = family.BaseType)
        {
            var kinds = family.GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false);
            if (kinds.FirstOrDefault(kind => kind.DerivedType == part)?.TypeDiscriminator is { } name) return $"{name}";
        }
        return part.Name;
    }

    /// <summary>The words of all kinds of a family, those that have been added too.</summary>
    internal static IEnumerable<string> NamesOf(Type family) =>
    [
        .. family.GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false).Select(kind => $"{kind.TypeDiscriminator}"),
        .. AddedKinds.Names.Where(kind => AddedKinds.FamilyOf(kind.Key) == family).Select(kind => kind.Value),
    ];

    /// <summary>The error for a kind, to be thrown at the end of a <c>switch</c> over kinds.</summary>
    /// <param name="path">The part's key, such as <c>model.attention</c>.</param>
    /// <param name="part">The record.</param>
    /// <param name="what">What is implemented for other kinds: a layer, a CPU kernel, an ONNX graph.</param>
    public static InputException Unknown(string path, object part, string what) =>
        new($"{path}.kind: no {what} is known for {NameOf(part)}");
}
