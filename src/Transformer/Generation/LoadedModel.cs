using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Generation;

/// <summary>A model that is ready to write: its weights are loaded and its tokenizer is known.</summary>
/// <param name="Model">The model, in evaluation.</param>
/// <param name="Tokenizer">What its ids mean.</param>
public sealed record LoadedModel(TransformerModel Model, Tokenizer Tokenizer) : IDisposable
{
    /// <summary>Loads a model and its tokenizer.</summary>
    /// <param name="path">A run's folder, a checkpoint's folder or a .safetensors file, as for <see cref="CheckpointFolder.Open"/>.</param>
    /// <param name="device">Where the model shall live; the CPU where null.</param>
    /// <exception cref="InputException">There is no model at this path, it is not valid, or it lacks its tokenizer.</exception>
    public static LoadedModel Open(string path, Device? device = null)
    {
        using var checkpoint = CheckpointFolder.Open(path);
        if (!checkpoint.HasTokenizer)
            throw new InputException($"{checkpoint.Folder}: has no tokenizer.json, so text cannot become tokens. " +
                "Import the model again with --tokenizer FILE.");
        var tokenizer = checkpoint.ReadTokenizer();
        if (tokenizer.VocabularySize > checkpoint.Model.VocabularySize)
            throw new InputException($"{checkpoint.Folder}: the tokenizer has {tokenizer.VocabularySize} tokens, " +
                $"the model only {checkpoint.Model.VocabularySize}. Is it the model's own?");
        var model = new TransformerModel(checkpoint.Model, device, draw: false);
        try
        {
            checkpoint.CopyInto(model.Weights);
            model.eval();
            return new LoadedModel(model, tokenizer);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();
}
