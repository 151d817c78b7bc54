using System.Text.RegularExpressions;
using Transformer.Configuration;

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

    /// <summary>
    /// A GPT-2 in our names. The layout is recognised by the shape of c_attn; mask buffers and a tied head's copy are left out.
    /// </summary>
    /// <param name="origin">The file, for messages.</param>
    /// <param name="tensors">Named with or without the prefixes <c>transformer.</c> and <c>_orig_mod.</c>.</param>
    /// <param name="tiedHead">Whether the output head is the token embedding.</param>
    /// <returns>The same tensors, parts of them, and computed ones where a matrix is transposed.</returns>
    /// <exception cref="InputException">A name is not GPT-2's, a shape is impossible, or the head is said to be tied and is
    /// not.</exception>
    public static IReadOnlyDictionary<string, StoredTensor> FromGpt2(string origin, IEnumerable<StoredTensor> tensors, bool tiedHead)
    {
        var gpt2 = tensors.ToList();
        var layout = LayoutOf(origin, gpt2);
        var ours = new Dictionary<string, StoredTensor>();
        foreach (var tensor in gpt2)
            foreach (var ourTensor in FromGpt2(origin, layout, tensor))
                if (!ours.TryAdd(ourTensor.Name, ourTensor))
                    throw new InputException($"{origin}: {tensor.Name} is there twice, with and without a prefix");
        if (tiedHead) DropTiedHead(origin, ours);
        return ours;
    }

    /// <summary>Our tensors in the names of GPT-2.</summary>
    /// <param name="tensors">By our names, with learned positions and a plain MLP.</param>
    /// <param name="layout">Hugging Face's files are <see cref="LinearLayout.InOut"/>, nanoGPT's <see cref="LinearLayout.OutIn"/>.</param>
    /// <returns>The same tensors, and computed ones where a matrix is transposed and for c_attn.</returns>
    /// <exception cref="InputException">GPT-2 has no such tensor.</exception>
    public static IReadOnlyDictionary<string, StoredTensor> ToGpt2(IReadOnlyDictionary<string, StoredTensor> tensors, LinearLayout layout)
    {
        var gpt2 = new Dictionary<string, StoredTensor>();
        foreach (var (name, value) in tensors)
        {
            if (OurLayer().Match(name) is not { Success: true } layer)
            {
                var (module, kind) = Split(name);
                var top = Modules.FirstOrDefault(pair => pair.Ours == module).Gpt2
                    ?? throw new InputException($"{name}: GPT-2 has no such tensor");
                Add(name == Head ? name : $"transformer.{top}.{kind}", value);
                continue;
            }
            var (prefix, part, suffix) = ($"transformer.h.{layer.Groups[1]}", layer.Groups[2].Value, layer.Groups[3].Value);
            if (part is "self_attn.k_proj" or "self_attn.v_proj") continue; // joined with q
            if (part is "self_attn.q_proj")
            {
                var projections = Projections.Select(p => tensors[$"model.layers.{layer.Groups[1]}.self_attn.{p}_proj.{suffix}"]);
                Add($"{prefix}.attn.c_attn.{suffix}", Oriented(TensorLayout.Joined(name, [.. projections]), layout));
                continue;
            }
            var known = LayerModules.FirstOrDefault(pair => pair.Ours == part);
            if (known.Gpt2 is null) throw new InputException($"{name}: GPT-2 has no such tensor");
            Add($"{prefix}.{known.Gpt2}.{suffix}", known.Linear ? Oriented(value, layout) : value);
        }
        return gpt2;

        void Add(string name, StoredTensor value) => gpt2.Add(name, value with { Name = name });
    }

    /// <summary>A Llama, whose names are ours; a tied head's copy is left out.</summary>
    /// <param name="origin">The file, for messages.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="tiedHead">Whether the output head is the token embedding.</param>
    /// <exception cref="InputException">The head is said to be tied and is not.</exception>
    public static IReadOnlyDictionary<string, StoredTensor> FromLlama(string origin, IEnumerable<StoredTensor> tensors, bool tiedHead)
    {
        var ours = tensors.ToDictionary(tensor => tensor.Name);
        if (tiedHead) DropTiedHead(origin, ours);
        return ours;
    }

    /// <summary>Whether a tensor is not a weight but a mask or a table that some tools store.</summary>
    internal static bool IsBuffer(string name) => Buffers.Any(buffer => name.EndsWith(buffer, StringComparison.Ordinal));

    private static void DropTiedHead(string origin, Dictionary<string, StoredTensor> tensors)
    {
        if (!tensors.TryGetValue(Embedding, out var embedding) || !tensors.Remove(Head, out var head)) return;
        if (!head.Shape.SequenceEqual(embedding.Shape) || !HasEqualNumbers(head, embedding))
            throw new InputException($"{origin}: {Head} differs from the token embedding, " +
                "but config.json ties them.\n  Set tie_word_embeddings to false there.");
    }

    private static bool HasEqualNumbers(StoredTensor left, StoredTensor right)
    {
        if (left.Type != right.Type) (left, right) = (TensorLayout.ToSingles(left), TensorLayout.ToSingles(right));
        var (equal, position) = (true, 0L);
        right.Pin(address => left.Visit(chunk =>
        {
            equal = equal && chunk.SequenceEqual(MemoryTensor.Span(address, position, chunk.Length));
            position += chunk.Length;
        }));
        return equal;
    }

    private static IEnumerable<StoredTensor> FromGpt2(string origin, LinearLayout layout, StoredTensor tensor)
    {
        var bare = Bare(tensor.Name);
        if (IsBuffer(bare)) return [];
        if (Gpt2Layer().Match(bare) is not { Success: true } layer)
        {
            var (module, kind) = Split(bare);
            var top = Modules.FirstOrDefault(pair => pair.Gpt2 == module).Ours
                ?? throw new InputException($"{origin}: {tensor.Name}: GPT-2 has no such tensor");
            return [tensor with { Name = $"{top}.{kind}" }];
        }
        var (prefix, part, suffix) = ($"model.layers.{layer.Groups[1]}", layer.Groups[2].Value, layer.Groups[3].Value);
        if (part == "attn.c_attn")
        {
            var rows = Oriented(tensor, layout);                                                            // [3 C, C] or [3 C]
            if (rows.Shape.Count is 0 or > 2 || rows.Shape[0] % 3 != 0)
                throw new InputException(
                    $"{origin}: {tensor.Name}: shape [{string.Join(", ", tensor.Shape)}] does not split into q, k and v");
            var parts = TensorLayout.Split(rows, 3);                                                        // [C, C] or [C] each
            return Projections.Zip(parts, (p, part) => part with { Name = $"{prefix}.self_attn.{p}_proj.{suffix}" });
        }
        var known = LayerModules.FirstOrDefault(pair => pair.Gpt2 == part);
        if (known.Ours is null) throw new InputException($"{origin}: {tensor.Name}: GPT-2 has no such tensor");
        return [(known.Linear ? Oriented(tensor, layout) : tensor) with { Name = $"{prefix}.{known.Ours}.{suffix}" }];
    }

    // Only c_attn distinguishes the layouts in every model: the hidden width of an MLP may equal the model's.
    private static LinearLayout LayoutOf(string origin, IEnumerable<StoredTensor> tensors)
    {
        foreach (var tensor in tensors.Where(tensor => tensor.Name.EndsWith(".attn.c_attn.weight", StringComparison.Ordinal)))
        {
            return tensor.Shape switch
            {
                [var rows, var columns] when rows == 3 * columns => LinearLayout.OutIn,
                [var rows, var columns] when columns == 3 * rows => LinearLayout.InOut,
                var shape =>
                    throw new InputException($"{origin}: {tensor.Name}: shape [{string.Join(", ", shape)}], expected [3 C, C] or [C, 3 C]"),
            };
        }
        return LinearLayout.OutIn;
    }

    private static StoredTensor Oriented(StoredTensor value, LinearLayout layout) =>
        layout == LinearLayout.InOut && value.Shape.Count == 2 ? TensorLayout.Transposed(value) : value;

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
