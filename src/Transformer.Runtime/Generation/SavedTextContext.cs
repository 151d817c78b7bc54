using System.Text.Json.Serialization;

namespace Transformer.Generation;

/// <summary>The properties of a saved text, listed by the compiler: a trimmed program has no other way to know them.</summary>
[JsonSerializable(typeof(SavedText))]
[JsonSourceGenerationOptions(
    GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UseStringEnumConverter = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
internal sealed partial class SavedTextContext : JsonSerializerContext;
