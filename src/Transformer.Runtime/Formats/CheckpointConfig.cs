using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Formats;

/// <summary>
/// The config.json of a checkpoint: what other tools read, and our whole architecture under one key, which takes precedence.
/// </summary>
internal static class CheckpointConfig
{
    public const string FileName = "config.json";
    private const string Key = "transformer";

    /// <summary>The architecture, ours or a Hugging Face model's.</summary>
    /// <exception cref="InputException">The file is not valid, or cannot be expressed.</exception>
    public static ModelConfig Read(string path)
    {
        var fields = JsonFields.Open(path);
        if (fields.Object(Key) is not { } ours) return HuggingFaceConfig.Read(fields);
        ours.Size("width", HuggingFaceConfig.WidthLimit);
        ours.Size("context_length", HuggingFaceConfig.LengthLimit);
        ours.Size("vocabulary_size", HuggingFaceConfig.LengthLimit);
        if (ours.Node("layers") is JsonValue layers && layers.TryGetValue<long>(out var blocks) && blocks > HuggingFaceConfig.LayerLimit)
            throw ours.Bad("layers", $"found {blocks}, expected {HuggingFaceConfig.LayerLimit} at most");
        return ModelJson.FromJson(ours.Json, ours.Origin);
    }

    /// <summary>
    /// Writes the fields of Llama or Qwen 3 if the model is one. Those of GPT-2 only where they are asked for: tensors beside them have
    /// Llama's names, with which other tools would not find them.
    /// </summary>
    /// <param name="model">The architecture.</param>
    /// <param name="tokenizer">What makes the model's tokens; null where it is not known.</param>
    /// <param name="gpt2">Whether a GPT-2 gets its fields.</param>
    /// <exception cref="ArgumentException">The vocabulary's size is open.</exception>
    public static JsonObject Write(ModelConfig model, Tokenizer? tokenizer, bool gpt2 = false)
    {
        if (model.VocabularySize is null) throw new ArgumentException("A saved model has a vocabulary of known size.", nameof(model));
        var json = HuggingFaceConfig.LlamaObstacle(model) is null ? HuggingFaceConfig.ToLlama(model)
            : gpt2 && HuggingFaceConfig.Gpt2Obstacle(model) is null ? HuggingFaceConfig.ToGpt2(model)
            : new JsonObject { ["model_type"] = Key };
        TokenizerFolder.AddIds(json, tokenizer);
        json[Key] = ModelJson.ToJson(model);
        return json;
    }
}
