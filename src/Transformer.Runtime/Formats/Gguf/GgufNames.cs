using System.Text.RegularExpressions;
using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>
/// The names of GGUF's tensors and ours. Its llama has the rows of q and k in adjacent pairs (<see cref="RotaryPairs"/>), its
/// gpt2 the rows of q, k and v in one matrix.
/// </summary>
internal static partial class GgufNames
{
    private const string Joined = "attn_qkv";

    private static readonly (string Gguf, string Ours)[] Modules =
    [
        ("token_embd", "model.embed_tokens"),
        ("position_embd", "model.embed_positions"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
    ];

    private static readonly (string Gguf, string Ours)[] LayerModules =
    [
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];

    private static readonly string[] Projections = ["q", "k", "v"];

    /// <summary>Our tensors in GGUF's names.</summary>
    /// <param name="model">A model of llama's or gpt2's kind.</param>
    /// <param name="tensors">By our names.</param>
    /// <returns>The same tensors, and computed ones where rows are in another order or joined.</returns>
    public static IEnumerable<StoredTensor> ToGguf(ModelConfig model, IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        foreach (var (name, value) in tensors)
        {
            var (module, kind) = HuggingFaceNames.Split(name);
            if (OurLayer().Match(module) is not { Success: true } layer)
            {
                yield return value with { Name = $"{Gguf(Modules, module)}.{kind}" };
                continue;
            }
            var (prefix, part) = ($"blk.{layer.Groups[1]}", layer.Groups[2].Value);
            if (!IsJoined(model) || part is not ("self_attn.q_proj" or "self_attn.k_proj" or "self_attn.v_proj"))
                yield return (Heads(model, part) is { } heads ? RotaryPairs.Adjacent(value, heads) : value) with
                {
                    Name = $"{prefix}.{Gguf(LayerModules, part)}.{kind}"
                };
            else if (part is "self_attn.q_proj")
                yield return TensorLayout.Joined(
                    $"{prefix}.{Joined}.{kind}",
                    [.. Projections.Select(p => tensors[$"model.layers.{layer.Groups[1]}.self_attn.{p}_proj.{kind}"])]);
        }
    }

    /// <summary>A tensor of GGUF's in our names.</summary>
    /// <param name="file">The file, for messages.</param>
    /// <param name="model">A model of llama's or gpt2's kind.</param>
    /// <param name="value">The tensor.</param>
    /// <exception cref="InputException">No such model has this tensor, or it has an impossible shape.</exception>
    public static IEnumerable<StoredTensor> FromGguf(string file, ModelConfig model, StoredTensor value)
    {
        var (module, kind) = HuggingFaceNames.Split(value.Name);
        if (Layer().Match(module) is not { Success: true } layer) return [value with { Name = $"{Ours(Modules, module)}.{kind}" }];
        var (prefix, part) = ($"model.layers.{layer.Groups[1]}", layer.Groups[2].Value);
        if (part == Joined && IsJoined(model))
        {
            if (value.Shape.Count is 0 or > 2 || value.Shape[0] % 3 != 0)
                throw Bad($"shape [{string.Join(", ", value.Shape)}] does not split into q, k and v");
            return Projections.Zip(TensorLayout.Split(value, 3), (p, rows) => rows with { Name = $"{prefix}.self_attn.{p}_proj.{kind}" });
        }
        var ours = Ours(LayerModules, part);
        if (Heads(model, ours) is not { } heads) return [value with { Name = $"{prefix}.{ours}.{kind}" }];
        if (value.Shape.Count is 0 or > 2 || value.Shape[0] % (2 * heads) != 0)
            throw Bad($"shape [{string.Join(", ", value.Shape)}] does not split into pairs of {heads} heads");
        return [RotaryPairs.HalfSplit(value, heads) with { Name = $"{prefix}.{ours}.{kind}" }];

        string Ours((string Gguf, string Ours)[] table, string module) =>
            table.FirstOrDefault(pair => pair.Gguf == module).Ours ?? throw Bad("a tensor that such a model does not have");

        InputException Bad(string problem) => new($"{file}: {UntrustedText.Shown(value.Name)}: {problem}");
    }

    private static string Gguf((string Gguf, string Ours)[] table, string ours) => table.First(pair => pair.Ours == ours).Gguf;

    private static bool IsJoined(ModelConfig model) => model.Position is LearnedPositionConfig;

    // The number of heads in the rows of a matrix whose outputs are rotated; null for others.
    private static long? Heads(ModelConfig model, string part) => (part, model.Attention) switch
    {
        _ when IsJoined(model) => null,
        ("self_attn.q_proj", SoftmaxAttentionConfig attention) => attention.Heads,
        ("self_attn.k_proj", SoftmaxAttentionConfig attention) => attention.KvHeads ?? attention.Heads,
        _ => null,
    };

    [GeneratedRegex(@"^blk\.(0|[1-9][0-9]{0,5})\.(.+)$")]
    private static partial Regex Layer();

    [GeneratedRegex(@"^model\.layers\.(0|[1-9][0-9]{0,5})\.(.+)$")]
    private static partial Regex OurLayer();
}
