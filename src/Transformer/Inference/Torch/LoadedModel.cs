using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Generation;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Inference.Torch;

/// <summary>A model of libtorch whose weights are loaded and whose tokenizer is known.</summary>
/// <param name="Model">The model, in evaluation.</param>
/// <param name="Tokenizer">What its ids mean.</param>
/// <param name="ChatTemplate">The template by which a conversation becomes a prompt, where the model has one.</param>
public sealed record LoadedModel(TransformerModel Model, Tokenizer Tokenizer, string? ChatTemplate = null) : IDisposable
{
    /// <summary>Loads a model and its tokenizer.</summary>
    /// <param name="path">A run's folder, a checkpoint's folder or a .safetensors file, as for <see cref="CheckpointFolder.Open"/>, or a
    /// .gguf file.</param>
    /// <param name="device">The model's device; the CPU where null.</param>
    /// <param name="group">The ranks that share the model, each with its part of the heads and hidden
    /// units; null for the whole model.</param>
    /// <exception cref="InputException">There is no model at this path, it is not valid, it lacks its tokenizer, or so many ranks cannot
    /// split it.</exception>
    public static LoadedModel Open(string path, Device? device = null, TensorParallelGroup? group = null)
    {
        if (File.Exists(path) && Path.GetExtension(path) == GgufModel.Extension)
        {
            if (group is not null)
                throw new InputException(
                    $"{path}: ranks share the model of a checkpoint only. " +
                    $"`{ShellCommand.Of("import", path, "--out", "FOLDER")}` makes one.");
            using var imported = ModelImport.Import(path);
            return Of(imported, imported.Tokenizer ?? throw CheckpointInference.NoTokenizer(path, "names none that is known"), device);
        }
        return CheckpointPointer.Follow(path, () => OpenCheckpoint(path, device, group));
    }

    private static LoadedModel OpenCheckpoint(string path, Device? device, TensorParallelGroup? group)
    {
        using var checkpoint = CheckpointFolder.Open(path);
        if (!checkpoint.HasTokenizer) throw CheckpointInference.NoTokenizer(checkpoint.Folder, "has no tokenizer.json");
        checkpoint.CheckSize();
        return Filled(
            checkpoint.Folder, checkpoint.Model, checkpoint.ReadTokenizer(), checkpoint.ChatTemplate,
            weights => checkpoint.CopyInto(weights, group), device, group);
    }

    /// <summary>A model that was read from another tool's files.</summary>
    /// <param name="imported">Its configuration and weights, which are copied.</param>
    /// <param name="tokenizer">What its ids mean.</param>
    /// <param name="device">The model's device; the CPU where null.</param>
    /// <exception cref="InputException">Configuration, weights and tokenizer do not belong together.</exception>
    public static LoadedModel Of(ImportedModel imported, Tokenizer tokenizer, Device? device = null) =>
        Filled(imported.Origin, imported.Model, tokenizer, imported.ChatTemplate, imported.CopyInto, device);

    private static LoadedModel Filled(
        string origin, ModelConfig config, Tokenizer tokenizer, string? chatTemplate, Action<IEnumerable<(string, Tensor)>> fill,
        Device? device, TensorParallelGroup? group = null)
    {
        CheckpointInference.Check(tokenizer, config, origin);
        var model = group is null ? new TransformerModel(config, device, draw: false) : TensorParallelModel.Empty(config, group, device);
        try
        {
            fill(model.Weights);
            model.eval();
            return new LoadedModel(model, tokenizer, chatTemplate);
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
