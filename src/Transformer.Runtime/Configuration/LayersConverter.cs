using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Transformer.Configuration;

/// <summary>Layers as a number, or as a list of numbers and hourglasses.</summary>
public sealed class LayersConverter : JsonConverter<LayersConfig>
{
    /// <inheritdoc/>
    /// <exception cref="JsonException">It is neither.</exception>
    public override LayersConfig Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number) return reader.GetInt32();
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException("expected a number of blocks or a list");
        var hourglass = TypeOf(options);
        var items = new List<LayersItem>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            items.Add(reader.TokenType == JsonTokenType.Number
                ? reader.GetInt32()
                : JsonSerializer.Deserialize(ref reader, hourglass) ?? throw new JsonException("expected an hourglass"));
        }
        return [.. items];
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, LayersConfig value, JsonSerializerOptions options)
    {
        if (value is [{ Hourglass: null } only])
        {
            writer.WriteNumberValue(only.Blocks);
            return;
        }
        writer.WriteStartArray();
        foreach (var item in value)
        {
            if (item.Hourglass is { } hourglass) JsonSerializer.Serialize(writer, hourglass, TypeOf(options));
            else writer.WriteNumberValue(item.Blocks);
        }
        writer.WriteEndArray();
    }

    private static JsonTypeInfo<HourglassConfig> TypeOf(JsonSerializerOptions options) =>
        (JsonTypeInfo<HourglassConfig>)options.GetTypeInfo(typeof(HourglassConfig));
}
