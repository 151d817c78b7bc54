using Transformer.Configuration;
using Transformer.Files;
using Transformer.Formats;
using Transformer.Onnx.Graph;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Onnx;

/// <summary>
/// Writes models for ONNX Runtime as Hugging Face's libraries lay them out: <c>onnx/model.onnx</c>, and beside that folder
/// <c>config.json</c>, <c>tokenizer.json</c>, the chat template where there is one and, where onnxruntime-genai can run the model,
/// <c>genai_config.json</c>.
/// </summary>
public static class OnnxFolder
{
    internal const string ModelFolder = "onnx", ModelName = "model.onnx";

    /// <summary>
    /// Writes a model whole or not at all. Its graph is made from the configuration, so that nothing has to be run for it.
    /// </summary>
    /// <param name="folder">The folder, replaced if it exists.</param>
    /// <param name="model">The architecture.</param>
    /// <param name="weights">The model's tensors by our names.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="precision">How matrices are kept.</param>
    /// <param name="operators">Of which operators the graph is made.</param>
    /// <param name="chatTemplate">The template by which a conversation becomes a prompt.</param>
    /// <exception cref="InputException">A part of the model has no graph, or the folder cannot be written.</exception>
    public static void Write(
        string folder, ModelConfig model, IEnumerable<(string Name, Tensor Value)> weights, Tokenizer? tokenizer = null,
        OnnxPrecision precision = OnnxPrecision.F32, OnnxOperators operators = OnnxOperators.Standard, string? chatTemplate = null) =>
        Write(folder, model, weights, tokenizer, precision, operators, OnnxFile.InlineLimit, chatTemplate);

    /// <summary>Why onnxruntime-genai cannot run a model, so that its folder has no genai_config.json; null where it can.</summary>
    /// <param name="model">The architecture.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    public static string? GenAiObstacle(ModelConfig model, Tokenizer? tokenizer) => GenAiConfig.Obstacle(model, tokenizer);

    internal static void Write(
        string folder, ModelConfig model, IEnumerable<(string Name, Tensor Value)> weights, Tokenizer? tokenizer,
        OnnxPrecision precision, OnnxOperators operators, long inlineLimit, string? chatTemplate = null)
    {
        using var scope = NewDisposeScope();
        using var gradient = no_grad();
        var graph = DecoderGraph.Of(model, weights.ToDictionary(weight => weight.Name, weight => weight.Value), precision, operators);
        DurableFolder.Write(folder, partial =>
        {
            var path = Path.Combine(Directory.CreateDirectory(Path.Combine(partial, ModelFolder)).FullName, ModelName);
            var config = CheckpointConfig.Write(model, tokenizer, gpt2: true);
            var metadata = new Dictionary<string, string>
            {
                ["model_type"] = (string)config["model_type"]!,
                ["context_length"] = $"{model.ContextLength}",
                ["vocab_size"] = $"{model.VocabularySize}",
            };
            OnnxFile.Write(path, graph, metadata, inlineLimit);
            DurableFile.WriteJson(Path.Combine(partial, CheckpointConfig.FileName), config);
            if (GenAiObstacle(model, tokenizer) is null)
                DurableFile.WriteJson(Path.Combine(partial, GenAiConfig.FileName), GenAiConfig.Of(model, tokenizer!, graph));
            ChatTemplate.Write(partial, chatTemplate);
            if (tokenizer is not null) TokenizerFolder.Write(partial, tokenizer);
        });
    }
}
