using Transformer.Configuration;
using Transformer.Files;
using Transformer.Tokenization;

namespace Transformer.Formats;

/// <summary>
/// Writes models for Hugging Face's libraries: a Llama or a GPT-2 in a folder with config.json, model.safetensors, the tokenizer
/// (<see cref="TokenizerFolder"/>) and, where there is one, its chat template.
/// </summary>
public static class HuggingFaceFolder
{
    /// <summary>Writes a model atomically.</summary>
    /// <param name="folder">The folder, replaced if it exists.</param>
    /// <param name="model">The architecture.</param>
    /// <param name="weights">The model's tensors by our names, in the type in which they are written.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="chatTemplate">The template by which a conversation becomes a prompt.</param>
    /// <exception cref="InputException">The model is neither a Llama nor a GPT-2, or the folder cannot be written.</exception>
    public static void Write(
        string folder, ModelConfig model, IEnumerable<StoredTensor> weights, Tokenizer tokenizer, string? chatTemplate = null)
    {
        var gpt2 = model.Position is LearnedPositionConfig;
        var config = gpt2 ? HuggingFaceConfig.ToGpt2(model) : HuggingFaceConfig.ToLlama(model);
        TokenizerFolder.AddIds(config, tokenizer);
        var tensors = weights.ToDictionary(weight => weight.Name);
        var named = gpt2 ? HuggingFaceNames.ToGpt2(tensors, LinearLayout.InOut) : tensors;
        DurableFolder.Write(folder, partial =>
        {
            SafetensorsWriter.Write(
                Path.Combine(partial, WeightFiles.SingleFile), named.Values, new Dictionary<string, string> { ["format"] = "pt" });
            DurableFile.WriteJson(Path.Combine(partial, CheckpointConfig.FileName), config);
            TokenizerFolder.Write(partial, tokenizer);
            ChatTemplate.Write(partial, chatTemplate);
        });
    }
}
