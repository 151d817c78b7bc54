using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Training;

/// <summary>The weights of <c>training.init_from</c>, with which a run begins instead of random ones.</summary>
public static class InitialWeights
{
    /// <summary>The model, the tokenizer and, of a run, the data of weights, as overrides of a recipe that has others.</summary>
    /// <param name="path">A run's folder, a checkpoint's, or a .safetensors file.</param>
    /// <exception cref="InputException">There are no weights.</exception>
    public static IReadOnlyList<string> Overrides(string path)
    {
        using var checkpoint = Open(path);
        var model = $"model={ModelJson.ToJson(checkpoint.Model).ToJsonString()}";
        var run = Path.Combine(path, RunFolder.ConfigName);
        var data = File.Exists(run) ? ConfigFile.Load(run, []).Data : null;
        string[] overrides = data is null ? [model] : [model, $"data={ConfigJson.ToJson(data).ToJsonString()}"];
        return checkpoint.HasTokenizer && data?.Task is null ? [.. overrides, TokenizerOverride(checkpoint)] : overrides;
    }

    /// <summary>
    /// The run with the checkpoint that <c>training.init_from</c> stands for now, once it is clear that its weights fit the run's model and
    /// mean its tokens.
    /// </summary>
    /// <exception cref="InputException">They do not; the message names all tensors that do not fit.</exception>
    internal static RunConfig Resolve(RunConfig config, Dataset data)
    {
        if (config.Training.InitFrom is not { } path) return config;
        using var checkpoint = Open(path);
        if (checkpoint.HasTokenizer && checkpoint.ReadTokenizer() is var tokenizer && !tokenizer.HasTokensOf(data.Tokenizer))
        {
            throw new InputException(
                $"training.init_from: {checkpoint.Folder} has another tokenizer ({tokenizer.VocabularySize} tokens) than {data.Name} " +
                $"({data.Tokenizer.VocabularySize} tokens), so its embeddings do not fit.\n  " + (CanEncode(tokenizer, data)
                    ? $"Take its tokenizer: --set {ShellCommand.Quoted(TokenizerOverride(checkpoint))}"
                    : "It cannot encode this text either: take another text, or leave out --init-from."));
        }
        try
        {
            checkpoint.Check(config.Model.Parameters().Select(parameter => (parameter.Name, parameter.Shape)));
        }
        catch (InputException misfit)
        {
            throw new InputException($"training.init_from: {misfit.Message}\n  Take the weights' own model, without a recipe: " +
                ShellCommand.Of([
                    "train", "--init-from", path, .. config.Data.Path is { } text ? ["--set", $"data.path={text}"] : (string[])[]]),
                misfit);
        }
        return File.Exists(path) ? config : config with { Training = config.Training with { InitFrom = checkpoint.Folder } };
    }

    /// <summary>Copies them into the model of a new run; nothing where it begins with random ones.</summary>
    /// <exception cref="InputException">They cannot be read, or do not fit.</exception>
    internal static void CopyInto(TransformerModel model, TrainingConfig training)
    {
        if (training.InitFrom is not { } path) return;
        using var checkpoint = Open(path);
        checkpoint.CopyInto(model.Weights);
    }

    // Whether a tokenizer has all that the beginning of a text holds.
    private static bool CanEncode(Tokenizer tokenizer, Dataset data)
    {
        if (data is not Corpus corpus) return false;
        var ids = new long[Math.Min(corpus.Training.Length, 1 << 16)];
        corpus.Training.Read(0, ids);
        try
        {
            tokenizer.Encode(data.Tokenizer.Decode([.. ids.Select(id => (int)id)]).TrimEnd('\uFFFD'));    // a character that was cut
            return true;
        }
        catch (InputException)
        {
            return false;
        }
    }

    private static string TokenizerOverride(CheckpointFolder checkpoint)
    {
        var file = Path.GetFullPath(Path.Combine(checkpoint.Folder, TokenizerFolder.FileName));
        return $"data.tokenizer={{kind: file, path: {ConfigJson.ToJson(file).ToJsonString()}}}";
    }

    private static CheckpointFolder Open(string path)
    {
        try
        {
            return CheckpointFolder.Open(path);
        }
        catch (InputException unknown) when (
            File.Exists(
                Path.GetExtension(path) is ".gguf" or ".bin" or ".safetensors" ? path : Path.Combine(path, CheckpointConfig.FileName)))
        {
            throw new InputException(
                $"{unknown.Message}\n  Make a checkpoint of another tool's model: {ShellCommand.Of("import", path, "--out", "imported")}",
                unknown);
        }
    }
}
