using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Inference.Cpu;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>A checkpoint that is ready to write, mapped into memory: what <see cref="LoadedModel"/> is, without libtorch and so within a moment.</summary>
/// <param name="Engine">The model.</param>
/// <param name="Tokenizer">What its ids mean.</param>
public sealed record LoadedEngine(CpuInferenceModel Engine, Tokenizer Tokenizer) : IDisposable
{
    /// <summary>Opens a checkpoint with its tokenizer.</summary>
    /// <param name="path">A run's folder, a checkpoint's folder or a .safetensors file.</param>
    /// <param name="format">How matrices lie in memory.</param>
    /// <param name="threads">How many threads work.</param>
    /// <returns>Null where only <see cref="LoadedModel"/> reads it: a GGUF file, or weights of another type.</returns>
    /// <exception cref="InputException">There is no model at this path, it is not valid, or it lacks its tokenizer.</exception>
    public static LoadedEngine? Open(string path, WeightFormat format, int threads)
    {
        if (File.Exists(path) && Path.GetExtension(path) == GgufModel.Extension) return null;
        var checkpoint = CheckpointFolder.Open(path);
        try
        {
            if (!checkpoint.HasTokenizer) throw LoadedModel.NoTokenizer(checkpoint.Folder, "has no tokenizer.json");
            checkpoint.CheckSize();
            var tokenizer = checkpoint.ReadTokenizer();
            LoadedModel.Check(tokenizer, checkpoint.Model, checkpoint.Folder);
            if (CpuInferenceModel.TryCreate(checkpoint, format, threads) is { } engine) return new(engine, tokenizer);
            checkpoint.Dispose();
            return null;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Engine.Dispose();
}
