using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Transformer.Configuration;

namespace Transformer.Formats;

/// <summary>
/// The JSON header of a Safetensors file: the position of each tensor. Nothing of a file is used before it has been checked here.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The longest header that the format allows, in bytes.</summary>
    public const int MaximumLength = 100_000_000;

    private const string MetadataKey = "__metadata__";
    private const int MaximumDimensions = 64; // libtorch's own limit

    private readonly string file;
    private readonly Dictionary<string, SafetensorsEntry> entries = [];
    private readonly Dictionary<string, string> metadata = [];

    private SafetensorsHeader(string file) => this.file = file;

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => entries;

    /// <summary>Free text about the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata => metadata;

    /// <summary>Reads and checks a header.</summary>
    /// <param name="file">The file's name for messages.</param>
    /// <param name="json">The header without its length.</param>
    /// <param name="dataLength">How many bytes follow the header.</param>
    /// <exception cref="InputException">The header is not valid, or does not describe exactly the bytes that follow it.</exception>
    public static SafetensorsHeader Parse(string file, ReadOnlySpan<byte> json, long dataLength)
    {
        var header = new SafetensorsHeader(file);
        if (json.IsEmpty || json[0] != '{') throw header.Bad("the header does not start with '{', expected a JSON object");
        if (!Utf8.IsValid(json)) throw header.Bad("the header is not valid UTF-8");
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 3 });
            header.ReadObject(ref reader);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter for half of a surrogate pair
        {
            throw header.Bad($"the header is not valid JSON ({JsonProblem.Of(e)})");
        }
        header.CheckLayout(dataLength);
        return header;
    }

    /// <summary>The header of a file with these tensors, padded with spaces to a multiple of 8 bytes.</summary>
    public static byte[] Format(IEnumerable<SafetensorsEntry> entries, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                writer.WriteStartObject(MetadataKey);
                foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal)) writer.WriteString(key, value);
                writer.WriteEndObject();
            }
            foreach (var entry in entries)
            {
                writer.WriteStartObject(entry.Name);
                writer.WriteString("dtype", entry.Type.Name());
                WriteNumbers(writer, "shape", entry.Shape);
                WriteNumbers(writer, "data_offsets", [entry.Begin, entry.End]);
                writer.WriteEndObject();
            }
            writer.WriteEndObject();
        }
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    /// <summary>Whether the name is reserved.</summary>
    public static bool Reserved(string name) => name == MetadataKey;

    private static void WriteNumbers(Utf8JsonWriter writer, string key, IEnumerable<long> numbers)
    {
        writer.WriteStartArray(key);
        foreach (var number in numbers) writer.WriteNumberValue(number);
        writer.WriteEndArray();
    }

    private void ReadObject(ref Utf8JsonReader reader)
    {
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject) throw Bad(name, $"found {reader.TokenType}, expected an object");
            if (name == MetadataKey) ReadMetadata(ref reader);
            else if (!entries.TryAdd(name, ReadEntry(ref reader, name))) throw Bad(name, "stands twice in the header");
        }
        reader.Read(); // throws where anything but white space follows
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw Bad(MetadataKey, $"{UntrustedText.Shown(key)} is a {reader.TokenType}, expected a string");
            if (!metadata.TryAdd(key, reader.GetString()!)) throw Bad(MetadataKey, $"{UntrustedText.Shown(key)} stands twice");
        }
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        ElementType? type = null;
        long[]? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype" when type is null:
                    var found = reader.TokenType == JsonTokenType.String ? reader.GetString()! : reader.TokenType.ToString();
                    type = ElementTypes.Named(found)
                        ?? throw Bad(name, $"dtype {UntrustedText.Shown(found)}, expected one of {string.Join(", ", ElementTypes.Names)}");
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(ref reader, name, key);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(ref reader, name, key);
                    break;
                default:
                    throw Bad(
                        name, $"unexpected or repeated key {UntrustedText.Shown(key)}, expected dtype, shape and data_offsets once each");
            }
        }
        if (type is not { } known || shape is null || offsets is not [var begin, var end])
            throw Bad(name, "incomplete, expected dtype, shape and two data_offsets");
        var size = Size(name, shape, known);
        if (begin > end) throw Bad(name, $"data_offsets [{begin}, {end}] end before they begin");
        if (end - begin != size)
            throw Bad(
                name,
                $"data_offsets [{begin}, {end}] hold {end - begin} bytes, but {known.Name()} [{string.Join(", ", shape)}] needs {size}");
        return new SafetensorsEntry(name, known, shape, begin, end);
    }

    private long[] ReadNumbers(ref Utf8JsonReader reader, string name, string key)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw Bad(name, $"{key} is a {reader.TokenType}, expected an array of integers");
        var numbers = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0)
                throw Bad(name, $"{key} holds something other than integers from 0 to {long.MaxValue}");
            if (numbers.Count == MaximumDimensions) throw Bad(name, $"{key} holds more than {MaximumDimensions} numbers");
            numbers.Add(number);
        }
        return [.. numbers];
    }

    // Zeros count as ones in the check for overflow, because strides are products of the other dimensions.
    private long Size(string name, long[] shape, ElementType type)
    {
        try
        {
            var strided = shape.Aggregate((long)type.Size(), (product, dimension) => checked(product * Math.Max(dimension, 1)));
            return shape.Contains(0) ? 0 : strided;
        }
        catch (OverflowException)
        {
            throw Bad(name, $"shape [{string.Join(", ", shape)}] has more bytes than 64 bits can count");
        }
    }

    private void CheckLayout(long dataLength)
    {
        long end = 0;
        foreach (var entry in entries.Values.OrderBy(entry => entry.Begin).ThenBy(entry => entry.End))
        {
            if (entry.Begin != end)
                throw Bad(
                    entry.Name, $"begins at byte {entry.Begin} of the data, expected {end}: tensors must neither overlap nor leave holes");
            end = entry.End;
            if (end > dataLength)
                throw Bad(
                    entry.Name,
                    $"ends at byte {end} of the data, but the file holds {dataLength}. It is cut off: copy or download it again.");
        }
        if (end != dataLength) throw Bad($"{dataLength - end} bytes follow the last tensor, expected none");
    }

    private InputException Bad(string name, string problem) => Bad($"{UntrustedText.Shown(name)}: {problem}");

    private InputException Bad(string problem) => new($"{file}: not a valid Safetensors file\n  {problem}");
}
