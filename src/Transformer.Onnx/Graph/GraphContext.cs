using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens of the context · P past tokens · S = P + T keys

/// <summary>
/// What the layers of a graph share: the inputs that Hugging Face's models have, and what follows from them. Slots of the attention mask
/// that hold 0 are padding, on either side of a text; a key's position is the number of tokens before it in its row.
/// </summary>
internal sealed class GraphContext
{
    /// <summary>What inputs and outputs are called; a state before and after a run differ in the prefix.</summary>
    public const string IdsName = "input_ids", MaskName = "attention_mask", PositionsName = "position_ids", LogitsName = "logits",
        PastPrefix = "past_key_values.", PresentPrefix = "present.";

    /// <summary>
    /// The length of a cache that does not grow where it has room: what a run adds is written behind a row's tokens, over padding, so
    /// that one tensor can be input and output.
    /// </summary>
    public const string CacheAxis = "cache_length";

    /// <summary>The length of the mask, and after a run of a cache that grows by it.</summary>
    public const string AllAxis = "total_sequence_length";

    private const string Batch = "batch_size", New = "sequence_length", Past = "past_sequence_length";

    private readonly GraphBuilder graph;
    private Value? keyPositions, distance, visible, newTokens, length, lastSlots, longest;

    public GraphContext(GraphBuilder graph, ModelConfig config, GraphWeights weights)
    {
        (this.graph, Config, Weights) = (graph, config, weights);
        Ids = graph.Input(IdsName, ScalarType.Int64, Batch, New);
        Mask = graph.Input(MaskName, ScalarType.Int64, Batch, AllAxis);
        Positions = graph.Input(PositionsName, ScalarType.Int64, Batch, New);
        Rotation = RotationGraph.Of(this);
        Bias = ScoreBiasGraph.Of(this);
    }

    /// <summary>The graph that grows.</summary>
    public GraphBuilder Graph => graph;

    /// <summary>The model.</summary>
    public ModelConfig Config { get; }

    /// <summary>The model's weights.</summary>
    public GraphWeights Weights { get; }

    /// <summary>[B, T], integers</summary>
    public Value Ids { get; }

    /// <summary>[B, S], integers: 1 where there is a token, 0 where there is padding.</summary>
    public Value Mask { get; }

    /// <summary>[B, T], integers</summary>
    public Value Positions { get; }

    /// <summary>[B, S], integers</summary>
    public Value KeyPositions => keyPositions ??= Shared(() => Mask.CumulativeSum(1) + -1);

    /// <summary>How queries and keys are rotated; null for models without rotary positions.</summary>
    public RotationGraph? Rotation { get; }

    /// <summary>What the distance of query and key adds to their score; null for models without such positions.</summary>
    public ScoreBiasGraph? Bias { get; }

    /// <summary>v_1, the values of the first layer that has a value residual: [B, T, G, D]; null before it.</summary>
    public Value? FirstValues { get; set; }

    /// <summary>How far each key stands before each query, in tokens: [B, 1, T, S].</summary>
    public Value Distance => distance ??= Shared(() => Positions.Unsqueeze(1, 3) - KeyPositions.Unsqueeze(1, 2));

    /// <summary>Which keys each query sees where no window says less: [B, 1, T, S].</summary>
    public Value Visible => visible ??= Shared(() => Distance.AtLeast(graph.Scalar(0L)).And(Mask.To(ScalarType.Bool).Unsqueeze(1, 2)));

    /// <summary>Which of the context's tokens are text: [B, T], integers.</summary>
    public Value NewTokens => newTokens ??= Shared(() => Mask.Slice(1, -Ids.Length(1), long.MaxValue));

    /// <summary>How many tokens each row has after the context: [B, 1], integers.</summary>
    public Value TextLength => length ??= Shared(() => Mask.Sum(1));

    /// <summary>
    /// The slot of each row's last token in a cache without padding between its tokens: [B], int32. A row that gets nothing but padding has
    /// it written behind its tokens, where the next one will stand.
    /// </summary>
    public Value LastSlots => lastSlots ??= Shared(() =>
    {
        var added = NewTokens.Sum(1);                                                                           // [B, 1]
        var past = TextLength - added;
        return (past + graph.Node("Max", [added, graph.Scalar(1L)]) + -1).Squeeze(1).To(ScalarType.Int32);
    });

    /// <summary>How many slots of such a cache the longest row takes: [1], int32.</summary>
    public Value LongestText => longest ??= Shared(() => LastSlots.Greatest(0) + graph.Scalar(1));

    /// <summary>A cache of keys or values with those of this context behind what it held.</summary>
    /// <param name="layer">The block.</param>
    /// <param name="part">key or value.</param>
    /// <param name="added">[B, G, T, D]</param>
    /// <param name="heads">G.</param>
    /// <param name="headWidth">D.</param>
    /// <returns>[B, G, S, D]</returns>
    public Value Append(int layer, string part, Value added, int heads, int headWidth)
    {
        var cache = graph.Input(PastName(layer, part), ScalarType.Float32, Batch, heads, Past, headWidth);
        return graph.Output(PresentName(layer, part), cache.Concat(added, 2), ScalarType.Float32, Batch, heads, AllAxis, headWidth);
    }

    /// <summary>A cache that an operator fills itself, before this context: [B, G, cache, D].</summary>
    /// <param name="layer">The block.</param>
    /// <param name="part">key or value.</param>
    /// <param name="heads">G.</param>
    /// <param name="headWidth">D.</param>
    public Value Cache(int layer, string part, int heads, int headWidth) =>
        graph.Input(PastName(layer, part), ScalarType.Float32, Batch, heads, CacheAxis, headWidth);

    /// <summary>The cache that <see cref="Cache"/> gave, after this context.</summary>
    public void KeepCache(int layer, string part, Value cache, int heads, int headWidth) =>
        graph.Output(PresentName(layer, part), cache, ScalarType.Float32, Batch, heads, CacheAxis, headWidth);

    /// <summary>A state whose size does not depend on the length of the text, before this context.</summary>
    /// <param name="layer">The block.</param>
    /// <param name="part">What it is called.</param>
    /// <param name="shape">Its shape without the batch.</param>
    public Value State(int layer, string part, params long[] shape) =>
        graph.Input(PastName(layer, part), ScalarType.Float32, [Batch, .. shape.Select(size => (Axis)size)]);

    /// <summary>The state that <see cref="State"/> gave, after this context.</summary>
    public void Keep(int layer, string part, Value state, params long[] shape) =>
        graph.Output(PresentName(layer, part), state, ScalarType.Float32, [Batch, .. shape.Select(size => (Axis)size)]);

    /// <param name="value">[B, T, V]</param>
    public void Logits(Value value) =>
        graph.Output(LogitsName, value, ScalarType.Float32, isFirst: true, Batch, New, Config.VocabularySize!.Value);

    private static string PastName(int layer, string part) => $"{PastPrefix}{layer}.{part}";

    private static string PresentName(int layer, string part) => $"{PresentPrefix}{layer}.{part}";

    // Named after the context, whichever layer asks first.
    private Value Shared(Func<Value> make)
    {
        var scope = graph.Scope;
        graph.Scope = "/context";
        var value = make();
        graph.Scope = scope;
        return value;
    }
}
