using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Tokenization;

namespace Transformer.Formats;

/// <summary>
/// A folder that holds a model: <c>model.safetensors</c> in Hugging Face's names and <c>config.json</c> with our whole architecture under
/// <c>transformer</c> and, where the model is a Llama, the fields by which other tools read it. The tokenizer is in <c>tokenizer.json</c>
/// with <c>tokenizer_config.json</c> and <c>generation_config.json</c>, the state that a run resumes from in
/// <c>training.safetensors</c>, or one such file per rank, and <c>training.json</c>.
/// </summary>
public sealed class CheckpointFolder : IDisposable
{
    private const string TrainingStateName = "training.json";

    private readonly WeightFiles weights;

    private CheckpointFolder(string folder, ModelConfig model, WeightFiles weights) =>
        (Folder, Model, this.weights) = (folder, model, weights);

    /// <summary>The folder of the checkpoint itself, also where a run's folder was opened.</summary>
    public string Folder { get; }

    /// <summary>The architecture.</summary>
    public ModelConfig Model { get; }

    /// <summary>The names of the model's tensors.</summary>
    public IReadOnlyCollection<string> Names => weights.Names;

    /// <summary>Whether the folder holds a tokenizer.</summary>
    public bool HasTokenizer => File.Exists(Path.Combine(Folder, TokenizerFolder.FileName));

    /// <summary>The template by which a conversation becomes a prompt, as text; null where the folder has none.</summary>
    /// <exception cref="InputException">It is no text.</exception>
    public string? ChatTemplate => Formats.ChatTemplate.Read(Folder);

    /// <summary>Opens a checkpoint.</summary>
    /// <param name="path">A checkpoint's folder; a run's folder, whose <c>checkpoints/latest</c> (or else <c>checkpoints/best</c>) is
    /// taken; or a .safetensors file with config.json beside it.</param>
    /// <exception cref="InputException">There is no model at this path, or it is not valid.</exception>
    public static CheckpointFolder Open(string path) => CheckpointPointer.Follow(path, () => OpenOnce(path));

    private static CheckpointFolder OpenOnce(string path)
    {
        var folder = Directory.Exists(path) ? CheckpointPointer.Resolve(path) : Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (Directory.Exists(path) ? !WeightFiles.In(folder) : !File.Exists(path) || Path.GetExtension(path) != ".safetensors")
        {
            throw new InputException(
                $"{path}: {(Path.Exists(path) ? "holds no model" : "no such file or folder")}, expected a checkpoint (a folder with " +
                $"{WeightFiles.SingleFile} and {CheckpointConfig.FileName}), a run (a folder with checkpoints/latest) or a .safetensors " +
                    "file");
        }
        var model = CheckpointConfig.Read(Path.Combine(folder, CheckpointConfig.FileName));
        var weights = WeightFiles.Open(Directory.Exists(path) ? folder : path);
        if (!HuggingFaceNames.IsGpt2(weights.Names)) return new CheckpointFolder(folder, model, weights);
        weights.Dispose();
        throw new InputException(
            $"{path}: its tensors have GPT-2's names; `{ShellCommand.Of("import", path, "--out", "FOLDER")}` converts them");
    }

    /// <summary>
    /// Writes a checkpoint atomically: into a temporary folder beside it, flushed to the disk file by file,
    /// then renamed. An existing one is replaced.
    /// </summary>
    /// <param name="folder">The checkpoint's folder; the one above is made if need be.</param>
    /// <param name="model">The architecture.</param>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="chatTemplate">The template by which a conversation becomes a prompt.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Save(
        string folder,
        ModelConfig model,
        IEnumerable<StoredTensor> weights,
        Tokenizer? tokenizer = null,
        string? chatTemplate = null) =>
        Save(folder, model, tokenizer, trainingState: null, partial =>
        {
            WeightFiles.Write(partial, weights);
            Formats.ChatTemplate.Write(partial, chatTemplate);
        });

    /// <summary>Writes a checkpoint atomically, with tensors written by the caller.</summary>
    /// <param name="folder">The checkpoint's folder; the one above is made if need be.</param>
    /// <param name="model">The architecture.</param>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="trainingState">The numbers that a run resumes from.</param>
    /// <param name="writeTensors">Writes them into the given folder; called last.</param>
    internal static void Save(string folder, ModelConfig model, Tokenizer? tokenizer, JsonObject? trainingState,
        Action<string> writeTensors) =>
        DurableFolder.Write(folder, partial =>
        {
            DurableFile.WriteJson(Path.Combine(partial, CheckpointConfig.FileName), CheckpointConfig.Write(model, tokenizer));
            if (tokenizer is not null) TokenizerFolder.Write(partial, tokenizer);
            if (trainingState is not null) DurableFile.WriteJson(Path.Combine(partial, TrainingStateName), trainingState);
            writeTensors(partial);
        });

    /// <summary>Checks that the model can be as large as the folder's configuration says, before one of that size is made.</summary>
    /// <exception cref="InputException">It cannot.</exception>
    internal void CheckSize() => TensorCheck.CheckSize(weights.Path, Model, [.. weights.Names.Select(weights.Shape)]);

    /// <summary>The dimensions of a tensor.</summary>
    public IReadOnlyList<long> Shape(string name) => weights.Shape(name);

    /// <summary>The type of a tensor's elements.</summary>
    public ElementType Type(string name) => weights.Type(name);

    /// <summary>A tensor, mapped from its file for as long as this is open.</summary>
    public MemoryTensor Tensor(string name) => weights.Tensor(name);

    /// <summary>Compares names and shapes with those of a model.</summary>
    /// <exception cref="InputException">They differ; the message lists all that do.</exception>
    internal void Check(IEnumerable<(string Name, long[] Shape)> expected) => TensorCheck.Check(
        weights.Path,
        found: weights.Names.ToDictionary(name => name, weights.Shape),
        expected: expected.ToDictionary(parameter => parameter.Name, parameter => (IReadOnlyList<long>)parameter.Shape));

    /// <summary>What makes the model's tokens.</summary>
    /// <exception cref="InputException">The checkpoint has none, or the file is not valid.</exception>
    public Tokenizer ReadTokenizer() => TokenizerFolder.Read(Folder);

    /// <summary>The numbers that a run resumes from.</summary>
    /// <exception cref="InputException">The checkpoint has none.</exception>
    public JsonObject TrainingState() => JsonFields.Open(Path.Combine(Folder, TrainingStateName)).Json;

    /// <inheritdoc/>
    public void Dispose() => weights.Dispose();
}
