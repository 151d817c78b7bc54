using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>The properties of a model's records, listed by the compiler: a trimmed program has no other way to know them.</summary>
[JsonSerializable(typeof(ModelConfig))]
[JsonSerializable(typeof(HourglassConfig))]
[JsonSerializable(typeof(TokenizerConfig))]
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
internal sealed partial class ConfigContext : JsonSerializerContext;
