using Transformer.Configuration;
using Transformer.Formats.Gguf;

namespace Transformer.Formats;

/// <summary>
/// Reads models of other tools: Hugging Face's GPT-2, Llama and Qwen 3, nanoGPT's weights as Safetensors, llama2.c, and GGUF.
/// </summary>
public static class ModelImport
{
    private const string Expected =
        "expected a folder with config.json and model.safetensors, a .safetensors file with config.json beside it, " +
        "a .bin file of llama2.c, or a .gguf file";

    /// <summary>Reads a model.</summary>
    /// <param name="source">A folder with config.json and Safetensors files, a .safetensors file with config.json beside it, llama2.c's
    /// .bin, or a .gguf file.</param>
    /// <exception cref="InputException">The source is none of these, is not valid, or cannot be expressed.</exception>
    public static ImportedModel Import(string source)
    {
        try
        {
            return ImportAny(source);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{source}: cannot be read ({e.Message})", e);
        }
    }

    private static ImportedModel ImportAny(string source)
    {
        if (Directory.Exists(source)) return ImportFolder(source);
        if (!File.Exists(source)) throw new InputException($"{source}: no such file or folder, {Expected}");
        if (IsPickle(source)) throw Pickle(source);
        switch (Path.GetExtension(source))
        {
            case ".safetensors":
                return ImportWeights(source, Path.Combine(Path.GetDirectoryName(Path.GetFullPath(source))!, CheckpointConfig.FileName));
            case ".bin":
                var (model, tensors) = Llama2CFile.Read(source);
                return Checked(source, new ImportedModel(model, tensors, $"llama2.c, {source}"));
            case GgufModel.Extension:
                return Checked(source, GgufModel.Read(source));
            default:
                throw new InputException($"{source}: unknown kind of file, {Expected}");
        }
    }

    private static ImportedModel ImportFolder(string folder)
    {
        if (WeightFiles.In(folder)) return ImportWeights(folder, Path.Combine(folder, CheckpointConfig.FileName));
        if (Directory.EnumerateFiles(folder).FirstOrDefault(IsPickle) is { } pickle) throw Pickle(pickle);
        // nanoGPT's weights have no fixed file name; a single Safetensors file is unambiguous.
        return Directory.GetFiles(folder, "*.safetensors") is [var single]
            ? ImportWeights(single, Path.Combine(folder, CheckpointConfig.FileName))
            : throw new InputException($"{folder}: holds no model, {Expected}");
    }

    private static ImportedModel ImportWeights(string path, string config)
    {
        var model = CheckpointConfig.Read(config);
        var weights = WeightFiles.Open(path);
        try
        {
            var gpt2 = HuggingFaceNames.IsGpt2(weights.Names);
            var stored = weights.Names.Where(name => !HuggingFaceNames.IsBuffer(name)).Select(weights.Tensor);
            var tensors = gpt2 ? HuggingFaceNames.FromGpt2(weights.Path, stored, model.TiedHead)
                : HuggingFaceNames.FromLlama(weights.Path, stored, model.TiedHead);
            var family = gpt2 ? "GPT-2" : model.Attention is SoftmaxAttentionConfig { QueryKeyNorm: true } ? "Qwen 3" : "Llama";
            var template = ChatTemplate.Read(Path.GetDirectoryName(config)!);
            return Checked(
                weights.Path,
                new(model, tensors, $"{family}, {weights.Path}", ChatTemplate: template, Source: weights));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ImportedModel Checked(string path, ImportedModel imported)
    {
        try
        {
            Check(path, imported.Model, imported.Tensors);
            return imported;
        }
        catch
        {
            imported.Dispose();
            throw;
        }
    }

    // All that a model of this configuration has must be there, and nothing else, so that whatever is imported can be opened.
    private static void Check(string path, ModelConfig model, IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        if (!tensors.ContainsKey("model.embed_tokens.weight"))
            throw new InputException($"{path}: has no token embedding, so it is neither GPT-2 nor Llama");
        TensorCheck.CheckSize(path, model, [.. tensors.Values.Select(tensor => tensor.Shape)]);
        TensorCheck.Check(
            path,
            found: tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.Shape),
            expected: model.Parameters().ToDictionary(parameter => parameter.Name, parameter => (IReadOnlyList<long>)parameter.Shape),
            advice: Advice);
        if (tensors.Values.FirstOrDefault(tensor => tensor.Type is not (
            ElementType.F64 or ElementType.F32 or ElementType.F16 or ElementType.BF16)) is { } packed)
        {
            throw new InputException(
                $"{path}: {packed.Name}: numbers of type {packed.Type.Name()}, which are no weights by themselves; " +
                "take the model in float16, bfloat16 or float32");
        }

        // What of the configuration says that a tensor is there.
        string? Advice(IReadOnlyCollection<string> missing, IReadOnlyCollection<string> more) =>
            missing.Count > 0 && missing.All(name => name == "lm_head.weight")
                ? "Is the head the token embedding? Then set tie_word_embeddings to true in config.json."
            : missing.Count > 0 && more.Count == 0 && missing.All(name => name.EndsWith(".bias", StringComparison.Ordinal))
                ? model.Position is LearnedPositionConfig
                    ? "A GPT-2 without biases, as nanoGPT has it, says bias: false in config.json."
                    : "Do attention_bias and mlp_bias of config.json belong to these weights?"
            : "Does its configuration belong to these weights, and is it a model of this family?";
    }

    // torch.save writes a zip archive or, long ago, a bare pickle (protocol 2).
    private static bool IsPickle(string file)
    {
        if (Path.GetExtension(file) is ".pt" or ".pth" or ".ckpt" or ".pkl") return true;
        if (Path.GetExtension(file) is not ".bin") return false;
        Span<byte> start = stackalloc byte[2];
        using var stream = File.OpenRead(file);
        return stream.ReadAtLeast(start, 2, throwOnEndOfStream: false) == 2
            && (start.SequenceEqual("PK"u8) || start.SequenceEqual<byte>([0x80, 0x02]));
    }

    private static InputException Pickle(string file) =>
        new($"{file}: a pickle of torch. Reading one runs the code in it, so this library does not.\n  Convert it in Python where you " +
            "trust it: " +
            "safetensors.torch.save_file(torch.load(file, weights_only=True), \"model.safetensors\"), and write config.json beside it.");
}
