using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Formats.Gguf;

/// <summary>
/// Whole models as GGUF files of the architectures llama and gpt2, tokenizer included. What these cannot express is refused by name, never
/// dropped.
/// </summary>
public static class GgufModel
{
    /// <summary>The extension of these files.</summary>
    public const string Extension = ".gguf";

    private const string TemplateKey = "tokenizer.chat_template";
    private const string Embedding = "token_embd.weight", Positions = "position_embd.weight", Head = "output.weight";

    /// <summary>Reads a model; quantised weights become single precision.</summary>
    /// <exception cref="InputException">The file is not valid, or describes a model that this library cannot express.</exception>
    public static ImportedModel Read(string path)
    {
        var file = GgufFile.Open(path);
        try
        {
            var model = ReadConfig(path, file);
            var tensors = new Dictionary<string, StoredTensor>();
            foreach (var name in file.Names)
                foreach (var ours in GgufNames.FromGguf(path, model, file.Tensor(name)))
                    if (!tensors.TryAdd(ours.Name, ours))
                        throw new InputException($"{path}: {UntrustedText.Shown(name)}: a part of it is there twice");
            var fields = new GgufFields(file.Metadata, path);
            var tokenizer = GgufTokenizer.Read(fields);
            var template = fields.Has(TemplateKey) ? fields.Text(TemplateKey) : null;
            return new ImportedModel(model, tensors, $"GGUF, {path}", tokenizer, template, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes a model atomically.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="model">The architecture.</param>
    /// <param name="weights">The model's tensors by our names.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="precision">How matrices are kept.</param>
    /// <param name="chatTemplate">The template by which a conversation becomes a prompt.</param>
    /// <exception cref="InputException">GGUF cannot express the model or its tokenizer, or the file cannot be written.</exception>
    public static void Write(
        string path, ModelConfig model, IEnumerable<StoredTensor> weights, Tokenizer tokenizer, GgufPrecision precision,
        string? chatTemplate = null)
    {
        var architecture = model.Position is LearnedPositionConfig ? GgufGpt2.Name : GgufLlama.Name;
        if (Obstacle(model) is { } key) throw HuggingFaceConfig.Inexpressible(model, key, $"GGUF's {architecture}");
        var tensors = GgufNames.ToGguf(model, weights.ToDictionary(weight => weight.Name))
            .Select(tensor => (tensor, TypeOf(tensor, precision)));
        List<KeyValuePair<string, object>> metadata =
        [
            new("general.architecture", architecture),
            new("general.type", "model"),
            new("general.name", Path.GetFileNameWithoutExtension(path)),
            new("general.file_type", precision switch
            {
                GgufPrecision.F32 => 0u,
                GgufPrecision.F16 => 1u,
                GgufPrecision.Q4 => 2u,
                _ => 7u
            }),
            new("general.quantization_version", 2u),
            .. model.Position is LearnedPositionConfig ? GgufGpt2.Write(model) : GgufLlama.Write(model),
            .. GgufTokenizer.Write(tokenizer, model.VocabularySize!.Value),
            .. chatTemplate is null ? [] : (KeyValuePair<string, object>[])[new(TemplateKey, chatTemplate)],
        ];
        GgufWriter.Write(path, metadata, [.. tensors]);
    }

    /// <summary>Why no GGUF file can express this model: the first key that differs; null if one can.</summary>
    public static string? Obstacle(ModelConfig model) => model.Position switch
    {
        LearnedPositionConfig => HuggingFaceConfig.Gpt2Obstacle(model) ?? (model.Mlp is GeluTanhMlpConfig ? null : "mlp.kind"),
        RotaryPositionConfig { Scaling: not (null or LinearScalingConfig or YarnScalingConfig) } => "position.scaling",
        _ when model.Attention is SoftmaxAttentionConfig { QueryKeyNorm: true } => "attention.query_key_norm",
        _ => HuggingFaceConfig.LlamaObstacle(model),
    };

    private static ModelConfig ReadConfig(string path, GgufFile file)
    {
        var fields = new GgufFields(file.Metadata, path);
        var (names, tied) = (file.Names.ToHashSet(), !file.Names.Contains(Head));
        if (!names.Contains(Embedding) || file.Shape(Embedding) is not [var vocabulary and <= HuggingFaceConfig.LengthLimit, _])
            throw new InputException($"{path}: {Embedding} is missing or no matrix, so that it is no language model");
        var model = fields.Text("general.architecture") switch
        {
            GgufLlama.Name => GgufLlama.Read(
                fields, tied, attentionBias: names.Contains("blk.0.attn_q.bias"), mlpBias: names.Contains("blk.0.ffn_up.bias")),
            GgufGpt2.Name => GgufGpt2.Read(fields, tied),
            var other => throw fields.Bad("general.architecture", $"found {other}, expected {GgufLlama.Name} or {GgufGpt2.Name}"),
        };
        model = model with { VocabularySize = (int)vocabulary };
        var problems = model.Problems().ToList();
        return problems.Count == 0 ? model : throw new InputException($"{path}: {string.Join("\n  ", problems)}");
    }

    private static GgufTensorType TypeOf(StoredTensor tensor, GgufPrecision precision)
    {
        if (precision == GgufPrecision.F32 || tensor.Shape.Count < 2 || tensor.Name == Positions) return GgufTensorType.F32;
        if (precision == GgufPrecision.F16 || tensor.Shape[^1] % GgufTensorType.Q8_0.Length != 0) return GgufTensorType.F16;
        return precision == GgufPrecision.Q8 || tensor.Name is Embedding or Head ? GgufTensorType.Q8_0 : GgufTensorType.Q4_0;
    }
}
