using System.Text.Json.Serialization;

namespace Transformer.Tokenization;

/// <summary>What a vocab.json is made of, listed by the compiler for trimmed programs.</summary>
[JsonSerializable(typeof(Dictionary<string, int>))]
internal sealed partial class VocabularyContext : JsonSerializerContext;
