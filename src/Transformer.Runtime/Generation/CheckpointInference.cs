using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Inference.Cpu;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>Opens checkpoints for the processor's own kernels: mapped into memory, without libtorch and so within a moment.</summary>
public static class CheckpointInference
{
    /// <summary>Opens a checkpoint with its tokenizer.</summary>
    /// <param name="path">A run's folder, a checkpoint's folder or a .safetensors file.</param>
    /// <param name="format">How matrices lie in memory.</param>
    /// <param name="threads">How many threads work.</param>
    /// <returns>Null where the kernels do not read it: a GGUF file, or weights of another type.</returns>
    /// <exception cref="InputException">There is no model at this path, it is not valid, or it lacks its tokenizer.</exception>
    public static LoadedInference? TryOpen(string path, WeightFormat format, int threads)
    {
        if (File.Exists(path) && Path.GetExtension(path) == GgufModel.Extension) return null;
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

    /// <summary>Throws where a tokenizer is not of this model.</summary>
    internal static void Check(Tokenizer tokenizer, ModelConfig config, string origin)
    {
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new InputException($"{origin}: the tokenizer has {tokenizer.VocabularySize} tokens, " +
                $"the model only {config.VocabularySize}. Is it the model's own?");
    }

    /// <summary>What is said of a model without a tokenizer.</summary>
    internal static InputException NoTokenizer(string origin, string problem) =>
        new($"{origin}: {problem}, so text cannot become tokens. Import the model again with --tokenizer FILE.");
}
