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

    /// <param name="model">The architecture.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="graph">The model's graph.</param>
    /// <returns>The file, or null where that library cannot run the model: it knows models only whose blocks all have caches of one
    /// shape.</returns>
    public static JsonObject? Of(ModelConfig model, Tokenizer? tokenizer, GraphBuilder graph)
    {
        var layers = Enumerable.Range(0, model.Layers).Select(model.AttentionAt).ToList();
        if (layers.Count == 0 || layers.Any(layer => layer is not SoftmaxAttentionConfig)) return null;
        var shapes = layers.Cast<SoftmaxAttentionConfig>()
            .Select(layer => (layer.Heads, KvHeads: layer.KvHeads ?? layer.Heads, Width: layer.HeadWidthAt(model.Width))).Distinct()
            .ToList();
        if (shapes is not [var shape]) return null;
        var end = tokenizer?.EndOfText ?? tokenizer?.BeginOfText ?? 0;
        return new JsonObject
        {
            ["model"] = new JsonObject
            {
                ["type"] = "llama",    // any model with these inputs and outputs
                ["vocab_size"] = model.VocabularySize,
                ["context_length"] = model.ContextLength,
                ["bos_token_id"] = tokenizer?.BeginOfText ?? end,
                ["eos_token_id"] = end,
                ["pad_token_id"] = end,
                ["decoder"] = new JsonObject
                {
                    ["filename"] = $"{OnnxFolder.ModelFolder}/{OnnxFolder.ModelName}",
                    ["hidden_size"] = model.Width,
                    ["head_size"] = shape.Width,
                    ["num_attention_heads"] = shape.Heads,
                    ["num_key_value_heads"] = shape.KvHeads,
                    ["num_hidden_layers"] = model.Layers,
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
}
