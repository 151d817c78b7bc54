using System.Text.Json;
using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>A rule of linear attention as its word.</summary>
public sealed class LinearRuleConverter : JsonConverter<LinearRule>
{
    /// <inheritdoc/>
    /// <exception cref="JsonException">It is no rule's word.</exception>
    public override LinearRule Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var word = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        return LinearRule.All.FirstOrDefault(rule => rule.Name == word)
            ?? throw new JsonException($"expected one of {string.Join(", ", LinearRule.All)}");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, LinearRule value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Name);
}
