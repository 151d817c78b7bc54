using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>Reads models of other tools: Hugging Face's GPT-2 and Llama, nanoGPT's weights as Safetensors, and llama2.c.</summary>
public static class ModelImport
{
    private const string Expected =
        "expected a folder with config.json and model.safetensors, a .safetensors file with config.json beside it, or a .bin file of llama2.c";

    /// <summary>Reads a model.</summary>
    /// <param name="source">A folder with config.json and Safetensors files, a .safetensors file with config.json beside it, or llama2.c's .bin.</param>
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
        using var scope = NewDisposeScope();
        switch (Path.GetExtension(source))
        {
            case ".safetensors":
                return ImportWeights(source, Path.Combine(Path.GetDirectoryName(Path.GetFullPath(source))!, "config.json"));
            case ".bin":
                var (model, tensors) = Llama2CFile.Read(source);
                return Kept(model, tensors, $"llama2.c, {source}");
            default:
                throw new InputException($"{source}: unknown kind of file, {Expected}");
        }
    }

    private static ImportedModel ImportFolder(string folder)
    {
        if (WeightFiles.In(folder)) return ImportWeights(folder, Path.Combine(folder, "config.json"));
        if (Directory.EnumerateFiles(folder).FirstOrDefault(IsPickle) is { } pickle) throw Pickle(pickle);
        // nanoGPT's weights have no fixed file name; one Safetensors file leaves no doubt.
        return Directory.GetFiles(folder, "*.safetensors") is [var single]
            ? ImportWeights(single, Path.Combine(folder, "config.json"))
            : throw new InputException($"{folder}: holds no model, {Expected}");
    }

    private static ImportedModel ImportWeights(string path, string config)
    {
        using var scope = NewDisposeScope();
        var model = CheckpointConfig.Read(config);
        using var weights = WeightFiles.Open(path);
        var gpt2 = HuggingFaceNames.IsGpt2(weights.Names);
        var read = weights.Names.Where(name => !HuggingFaceNames.IsBuffer(name)).Select(name => (name, weights.Read(name)));
        var tensors = gpt2 ? HuggingFaceNames.FromGpt2(weights.Path, read, model.TiedHead) : HuggingFaceNames.FromLlama(weights.Path, read, model.TiedHead);
        CheckSize(weights.Path, model, tensors);
        return Kept(model, tensors, $"{(gpt2 ? "GPT-2" : "Llama")}, {weights.Path}");
    }

    // Before a model of the size that config.json claims is made: the claim must be that of the weights.
    private static void CheckSize(string path, ModelConfig model, IReadOnlyDictionary<string, Tensor> tensors)
    {
        long[] expected = [model.VocabularySize!.Value, model.Width];
        if (!tensors.TryGetValue("model.embed_tokens.weight", out var embedding))
            throw new InputException($"{path}: has no token embedding, so it is neither GPT-2 nor Llama");
        if (!embedding.shape.SequenceEqual(expected))
            throw new InputException($"{path}: token embedding [{string.Join(", ", embedding.shape)}], but config.json says [{string.Join(", ", expected)}]");
        var layers = Enumerable.Range(0, model.Layers + 1).TakeWhile(layer => tensors.ContainsKey($"model.layers.{layer}.input_layernorm.weight")).Count();
        if (layers != model.Layers)
            throw new InputException($"{path}: {(layers > model.Layers ? "more" : layers)} layers, but config.json says {model.Layers}");
    }

    private static ImportedModel Kept(ModelConfig model, IReadOnlyDictionary<string, Tensor> tensors, string origin)
    {
        foreach (var tensor in tensors.Values) tensor.DetachFromDisposeScope();
        return new ImportedModel(model, tensors, origin);
    }

    // torch.save writes a zip archive or, long ago, a bare pickle (protocol 2).
    private static bool IsPickle(string file)
    {
        if (Path.GetExtension(file) is ".pt" or ".pth" or ".ckpt" or ".pkl") return true;
        if (Path.GetExtension(file) is not ".bin") return false;
        Span<byte> start = stackalloc byte[2];
        using var stream = File.OpenRead(file);
        return stream.ReadAtLeast(start, 2, throwOnEndOfStream: false) == 2 && (start.SequenceEqual("PK"u8) || start.SequenceEqual<byte>([0x80, 0x02]));
    }

    private static InputException Pickle(string file) =>
        new($"{file}: a pickle of torch. Reading one runs the code in it, so this library does not.\n  Convert it in Python where you trust it: " +
            "safetensors.torch.save_file(torch.load(file, weights_only=True), \"model.safetensors\"), and write config.json beside it.");
}
