using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Diagrams;

/// <summary>
/// What a part of a configuration says in few words: its kind, and the settings that a user would write. It reads the record's keys, so a
/// kind that is new needs no line here.
/// </summary>
internal static class PartSettings
{
    /// <summary>
    /// Words, such as a rule, and what differs from the kind's defaults: <c>rule gated_delta</c>, <c>query_key_norm</c>,
    /// <c>window sliding, size 64</c>.
    /// </summary>
    /// <param name="part">A record of the configuration.</param>
    /// <param name="without">Keys that are shown in another way.</param>
    public static IReadOnlyList<string> Of(object part, params string[] without)
    {
        var type = ConfigJson.Options.GetTypeInfo(part.GetType());
        var defaults = type.CreateObject?.Invoke();
        return
        [
            .. from property in type.Properties
               where !without.Contains(property.Name)
               let value = property.Get?.Invoke(part)
               where value is not null
               let word = Word(property.PropertyType, value)
               where word is not null || defaults is null || !value.Equals(property.Get!(defaults))
               let phrase = Phrase(property.Name, value, word)
               where phrase is not null
               select phrase,
        ];
    }

    /// <summary>The numbers among a part's settings, those of the defaults too.</summary>
    public static IReadOnlyList<string> Numbers(object part) =>
    [
        .. from property in ConfigJson.Options.GetTypeInfo(part.GetType()).Properties
           let value = property.Get?.Invoke(part)
           where value is int or double
           select Phrase(property.Name, value, word: null),
    ];

    // False is not worth a word: the option is off.
    private static string? Phrase(string name, object value, string? word) => value switch
    {
        bool isOn => isOn ? name : null,
        int number => $"{name} {Number(number)}",
        double number => $"{name} {Number(number)}",
        _ when word is not null => $"{name} {word}",
        _ => $"{name} {string.Join(", ", Of(value).Prepend(Kind.NameOf(value)))}",
    };

    // What a configuration writes as a word; null for numbers, switches and parts of several keys.
    private static string? Word(Type type, object value)
    {
        if (value is bool or int or double || ConfigJson.Options.GetTypeInfo(type).Kind != JsonTypeInfoKind.None) return null;
        return JsonSerializer.SerializeToNode(value, type, ConfigJson.Options)?.ToString();
    }

    private static string Number(double number) => Math.Abs(number) is >= 0.001 or 0
        ? number.ToString("#,0.####", CultureInfo.InvariantCulture)
        : number.ToString("0.##e-0", CultureInfo.InvariantCulture);
}
