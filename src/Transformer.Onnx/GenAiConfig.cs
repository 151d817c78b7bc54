using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Onnx.Graph;
using Transformer.Tokenization;

namespace Transformer.Onnx;

/// <summary>
/// The genai_config.json by which onnxruntime-genai runs a model: names of inputs and outputs, sizes of caches, tokens that begin and end
/// texts.
/// </summary>
internal static class GenAiConfig
{
    public const string FileName = "genai_config.json";

    /// <summary>Why that library cannot run a model; null where it can.</summary>
    /// <param name="model">The architecture.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    public static string? Obstacle(ModelConfig model, Tokenizer? tokenizer) =>
        ShapeOf(model) is null ? "onnxruntime-genai runs models only whose blocks are all softmax attention with caches of one shape"
        : tokenizer is CharacterTokenizer or WordTokenizer or null ? "onnxruntime-genai has no tokenizer of single characters or words"
        : tokenizer.EndOfText is null ? "no token ends a text, and onnxruntime-genai would end at one of the others"
        : null;

    /// <param name="model">The architecture.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="graph">The model's graph.</param>
    /// <returns>The file of a model without an <see cref="Obstacle"/>.</returns>
    public static JsonObject Of(ModelConfig model, Tokenizer tokenizer, GraphBuilder graph)
    {
        var shape = ShapeOf(model)!.Value;
        var end = tokenizer.EndOfText!.Value;
        return new JsonObject
        {
            ["model"] = new JsonObject
            {
                ["type"] = "llama",    // any model with these inputs and outputs
                ["vocab_size"] = model.VocabularySize,
                ["context_length"] = model.ContextLength,
                ["bos_token_id"] = tokenizer.BeginOfText ?? end,
                ["eos_token_id"] = tokenizer.EndTokens is [var only] ? only
                    : new JsonArray([.. tokenizer.EndTokens.Select(id => JsonValue.Create(id))]),
                ["pad_token_id"] = end,
                ["decoder"] = new JsonObject
                {
                    ["filename"] = $"{OnnxFolder.ModelFolder}/{OnnxFolder.ModelName}",
                    ["hidden_size"] = model.Width,
                    ["head_size"] = shape.Width,
                    ["num_attention_heads"] = shape.Heads,
                    ["num_key_value_heads"] = shape.KvHeads,
                    ["num_hidden_layers"] = model.Layers.Blocks,
                    ["inputs"] = new JsonObject
                    {
                        ["input_ids"] = GraphContext.IdsName,
                        ["attention_mask"] = GraphContext.MaskName,
                        ["position_ids"] = GraphContext.PositionsName,
                        ["past_key_names"] = $"{GraphContext.PastPrefix}%d.{SoftmaxAttentionGraph.Keys}",
                        ["past_value_names"] = $"{GraphContext.PastPrefix}%d.{SoftmaxAttentionGraph.Values}",
                    },
                    ["outputs"] = new JsonObject
                    {
                        ["logits"] = GraphContext.LogitsName,
                        ["present_key_names"] = $"{GraphContext.PresentPrefix}%d.{SoftmaxAttentionGraph.Keys}",
                        ["present_value_names"] = $"{GraphContext.PresentPrefix}%d.{SoftmaxAttentionGraph.Values}",
                    },
                },
            },
            ["search"] = new JsonObject { ["max_length"] = model.ContextLength, ["past_present_share_buffer"] = !graph.HasGrowingCaches },
        };
    }

    private static (int Heads, int KvHeads, int Width)? ShapeOf(ModelConfig model)
    {
        var layers = Enumerable.Range(0, model.Layers.Blocks).Select(model.AttentionAt).ToList();
        if (layers.Count == 0 || layers.Any(layer => layer is not SoftmaxAttentionConfig)) return null;
        var shapes = layers.Cast<SoftmaxAttentionConfig>()
            .Select(layer => (layer.Heads, layer.KvHeads ?? layer.Heads, layer.HeadWidthAt(model.Width))).Distinct().ToList();
        return shapes is [var shape] ? shape : null;
    }
}
