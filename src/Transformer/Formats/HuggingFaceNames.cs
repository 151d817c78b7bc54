using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Formats;

/// <summary>
/// The names of GPT-2's and nanoGPT's tensors and ours, which are those of Hugging Face's Llama. GPT-2 keeps the rows of q, k and v in one
/// matrix (c_attn) and, in Hugging Face's files, the four matrices of a layer transposed.
/// </summary>
public static partial class HuggingFaceNames
{
    private const string Head = "lm_head.weight";
    private const string Embedding = "model.embed_tokens.weight";

    private static readonly (string Gpt2, string Ours)[] Modules =
    [
        ("wte", "model.embed_tokens"),
        ("wpe", "model.embed_positions"),
        ("ln_f", "model.norm"),
        ("lm_head", "lm_head"),
    ];

    private static readonly (string Gpt2, string Ours, bool Linear)[] LayerModules =
    [
        ("ln_1", "input_layernorm", false),
        ("attn.c_proj", "self_attn.o_proj", true),
        ("ln_2", "post_attention_layernorm", false),
        ("mlp.c_fc", "mlp.up_proj", true),
        ("mlp.c_proj", "mlp.down_proj", true),
    ];

    private static readonly string[] Buffers = [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"];

    private static readonly string[] Projections = ["q", "k", "v"];

    /// <summary>Whether these are the names of a GPT-2.</summary>
    public static bool IsGpt2(IEnumerable<string> names) => names.Any(name => Bare(name) == "wte.weight");

    /// <summary>A GPT-2 in our names. The layout is told from the shape of c_attn; mask buffers and a tied head's copy are left out.</summary>
    /// <param name="origin">The file, for messages.</param>
    /// <param name="tensors">By name, with or without the prefixes <c>transformer.</c> and <c>_orig_mod.</c>.</param>
    /// <param name="tiedHead">Whether the output head is the token embedding.</param>
    /// <returns>The same tensors or views of them.</returns>
    /// <exception cref="InputException">A name is not GPT-2's, a shape is impossible, or the head is said to be tied and is not.</exception>
    public static IReadOnlyDictionary<string, Tensor> FromGpt2(string origin, IEnumerable<(string Name, Tensor Value)> tensors, bool tiedHead)
    {
        var gpt2 = tensors.ToList();
        var layout = LayoutOf(origin, gpt2);
        var ours = new Dictionary<string, Tensor>();
        foreach (var (name, value) in gpt2)
            foreach (var (ourName, ourValue) in FromGpt2(origin, layout, name, value))
                if (!ours.TryAdd(ourName, ourValue)) throw new InputException($"{origin}: {name} stands there twice, with and without a prefix");
        if (tiedHead) DropTiedHead(origin, ours);
        return ours;
    }

    /// <summary>Our tensors in the names of GPT-2.</summary>
    /// <param name="tensors">By our names, with learned positions and a plain MLP.</param>
    /// <param name="layout">Hugging Face's files are <see cref="LinearLayout.InOut"/>, nanoGPT's <see cref="LinearLayout.OutIn"/>.</param>
    /// <returns>The same tensors, views of them, and new ones for c_attn.</returns>
    /// <exception cref="InputException">GPT-2 has no such tensor.</exception>
    public static IReadOnlyDictionary<string, Tensor> ToGpt2(IReadOnlyDictionary<string, Tensor> tensors, LinearLayout layout)
    {
        var gpt2 = new Dictionary<string, Tensor>();
        foreach (var (name, value) in tensors)
        {
            if (OurLayer().Match(name) is not { Success: true } layer)
            {
                var (module, kind) = Split(name);
                var top = Modules.FirstOrDefault(pair => pair.Ours == module).Gpt2 ?? throw new InputException($"{name}: GPT-2 has no such tensor");
                gpt2.Add(name == Head ? name : $"transformer.{top}.{kind}", value);
                continue;
            }
            var (prefix, part, suffix) = ($"transformer.h.{layer.Groups[1]}", layer.Groups[2].Value, layer.Groups[3].Value);
            if (part is "self_attn.k_proj" or "self_attn.v_proj") continue; // joined with q
            if (part is "self_attn.q_proj")
            {
                var joined = cat([.. Projections.Select(p => tensors[$"model.layers.{layer.Groups[1]}.self_attn.{p}_proj.{suffix}"])]);
                gpt2.Add($"{prefix}.attn.c_attn.{suffix}", Oriented(joined, layout));
                continue;
            }
            var known = LayerModules.FirstOrDefault(pair => pair.Ours == part);
            if (known.Gpt2 is null) throw new InputException($"{name}: GPT-2 has no such tensor");
            gpt2.Add($"{prefix}.{known.Gpt2}.{suffix}", known.Linear ? Oriented(value, layout) : value);
        }
        return gpt2;
    }

    /// <summary>A Llama, whose names are ours; a tied head's copy is left out.</summary>
    /// <param name="origin">The file, for messages.</param>
    /// <param name="tensors">By name.</param>
    /// <param name="tiedHead">Whether the output head is the token embedding.</param>
    /// <exception cref="InputException">The head is said to be tied and is not.</exception>
    public static IReadOnlyDictionary<string, Tensor> FromLlama(string origin, IEnumerable<(string Name, Tensor Value)> tensors, bool tiedHead)
    {
        var ours = tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Value);
        if (tiedHead) DropTiedHead(origin, ours);
        return ours;
    }

    /// <summary>Whether a tensor is no weight but a mask or a table that some writers store.</summary>
    internal static bool IsBuffer(string name) => Buffers.Any(buffer => name.EndsWith(buffer, StringComparison.Ordinal));

    private static void DropTiedHead(string origin, Dictionary<string, Tensor> tensors)
    {
        if (!tensors.TryGetValue(Embedding, out var embedding) || !tensors.Remove(Head, out var head)) return;
        using var scope = NewDisposeScope();
        if (!head.shape.SequenceEqual(embedding.shape) || !head.eq(embedding).all().item<bool>())
            throw new InputException($"{origin}: {Head} differs from the token embedding, but config.json ties them.\n  Set tie_word_embeddings to false there.");
    }

    private static IEnumerable<(string Name, Tensor Value)> FromGpt2(string origin, LinearLayout layout, string name, Tensor value)
    {
        var bare = Bare(name);
        if (IsBuffer(bare)) return [];
        if (Gpt2Layer().Match(bare) is not { Success: true } layer)
        {
            var (module, kind) = Split(bare);
            var top = Modules.FirstOrDefault(pair => pair.Gpt2 == module).Ours ?? throw new InputException($"{origin}: {name}: GPT-2 has no such tensor");
            return [($"{top}.{kind}", value)];
        }
        var (prefix, part, suffix) = ($"model.layers.{layer.Groups[1]}", layer.Groups[2].Value, layer.Groups[3].Value);
        if (part == "attn.c_attn")
        {
            var rows = Oriented(value, layout);                                                            // [3 C, C] or [3 C]
            if (rows.dim() is 0 or > 2 || rows.shape[0] % 3 != 0)
                throw new InputException($"{origin}: {name}: shape [{string.Join(", ", value.shape)}] does not split into q, k and v");
            return Projections.Zip(rows.chunk(3), (p, part) => ($"{prefix}.self_attn.{p}_proj.{suffix}", part));    // [C, C] or [C] each
        }
        var known = LayerModules.FirstOrDefault(pair => pair.Gpt2 == part);
        if (known.Ours is null) throw new InputException($"{origin}: {name}: GPT-2 has no such tensor");
        return [($"{prefix}.{known.Ours}.{suffix}", known.Linear ? Oriented(value, layout) : value)];
    }

    // c_attn alone tells the layouts apart in every model: the hidden width of an MLP may equal the model's.
    private static LinearLayout LayoutOf(string origin, IEnumerable<(string Name, Tensor Value)> tensors)
    {
        foreach (var (name, value) in tensors.Where(tensor => tensor.Name.EndsWith(".attn.c_attn.weight", StringComparison.Ordinal)))
        {
            return value.shape switch
            {
                [var rows, var columns] when rows == 3 * columns => LinearLayout.OutIn,
                [var rows, var columns] when columns == 3 * rows => LinearLayout.InOut,
                var shape => throw new InputException($"{origin}: {name}: shape [{string.Join(", ", shape)}], expected [3 C, C] or [C, 3 C]"),
            };
        }
        return LinearLayout.OutIn;
    }

    private static Tensor Oriented(Tensor value, LinearLayout layout) => layout == LinearLayout.InOut && value.dim() == 2 ? value.t() : value;

    private static string Bare(string name)
    {
        foreach (var prefix in new[] { "_orig_mod.", "transformer." })
            if (name.StartsWith(prefix, StringComparison.Ordinal)) name = name[prefix.Length..];
        return name;
    }

    /// <summary>A tensor's module and what of it the tensor is, weight or bias.</summary>
    internal static (string Module, string Kind) Split(string name)
    {
        var dot = name.LastIndexOf('.');
        return dot < 0 ? (name, "") : (name[..dot], name[(dot + 1)..]);
    }

    [GeneratedRegex(@"^h\.(0|[1-9][0-9]{0,5})\.(.+)\.(weight|bias)$")]
    private static partial Regex Gpt2Layer();

    [GeneratedRegex(@"^model\.layers\.(0|[1-9][0-9]{0,5})\.(.+)\.(weight|bias)$")]
    private static partial Regex OurLayer();
}
