using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Inference.Cpu;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>Opens checkpoints for the CPU kernels: mapped into memory, without libtorch, and so almost at once.</summary>
public static class CheckpointInference
{
    /// <summary>Opens a checkpoint with its tokenizer.</summary>
    /// <param name="path">A run's folder, a checkpoint's folder or a .safetensors file.</param>
    /// <param name="format">The format of matrices in memory.</param>
    /// <param name="threads">The number of threads.</param>
    /// <returns>Null where the kernels cannot read it: a GGUF file, or weights of another type.</returns>
    /// <exception cref="InputException">There is no model at this path, it is not valid, or it lacks its tokenizer.</exception>
    public static LoadedInference? TryOpen(string path, WeightFormat format, int threads) =>
        File.Exists(path) && Path.GetExtension(path) == GgufModel.Extension ? null
            : CheckpointPointer.Follow(path, () => TryOpenOnce(path, format, threads));

    private static LoadedInference? TryOpenOnce(string path, WeightFormat format, int threads)
    {
        var checkpoint = CheckpointFolder.Open(path);
        try
        {
            if (!checkpoint.HasTokenizer) throw NoTokenizer(checkpoint.Folder, "has no tokenizer.json");
            checkpoint.CheckSize();
            var tokenizer = checkpoint.ReadTokenizer();
            Check(tokenizer, checkpoint.Model, checkpoint.Folder);
            if (CpuInferenceModel.TryCreate(checkpoint, format, threads) is { } model) return new(model, tokenizer);
            checkpoint.Dispose();
            return null;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Throws if a tokenizer does not belong to this model.</summary>
    internal static void Check(Tokenizer tokenizer, ModelConfig config, string origin)
    {
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new InputException($"{origin}: the tokenizer has {tokenizer.VocabularySize} tokens, " +
                $"the model only {config.VocabularySize}. Is it the model's own?");
    }

    /// <summary>The error about a model without a tokenizer.</summary>
    internal static InputException NoTokenizer(string origin, string problem) =>
        new($"{origin}: {problem}, so text cannot become tokens. Import the model again with --tokenizer FILE.");
}
