using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>The weights of <c>training.init_from</c>, with which a run begins instead of random ones.</summary>
internal static class InitialWeights
{
    /// <summary>
    /// The run with the checkpoint that <c>training.init_from</c> stands for now, once it is clear that its weights fit the run's model and
    /// mean its tokens.
    /// </summary>
    /// <exception cref="InputException">They do not; the message names all tensors that do not fit.</exception>
    public static RunConfig Resolve(RunConfig config, Dataset data)
    {
        if (config.Training.InitFrom is not { } path) return config;
        using var checkpoint = CheckpointFolder.Open(path);
        if (checkpoint.HasTokenizer && checkpoint.ReadTokenizer() is var tokenizer && !tokenizer.HasTokensOf(data.Tokenizer))
        {
            var file = Path.Combine(checkpoint.Folder, CheckpointFolder.TokenizerName);
            var key = ShellCommand.Quoted($"data.tokenizer={{kind: file, path: {file}}}");
            throw new InputException(
                $"training.init_from: {checkpoint.Folder} was trained with other tokens ({tokenizer.VocabularySize}) than {data.Name} has " +
                $"here ({data.Tokenizer.VocabularySize}), so that its embedding would mean nothing.\n  Take its tokenizer: --set {key}");
        }
        try
        {
            checkpoint.Check(config.Model.Parameters().Select(parameter => (parameter.Name, parameter.Shape)));
        }
        catch (InputException misfit)
        {
            throw new InputException($"training.init_from: {misfit.Message}\n  Take the weights' own model: " +
                ShellCommand.Of("train", "--init-from", path) + ", without a recipe.", misfit);
        }
        return File.Exists(path) ? config : config with { Training = config.Training with { InitFrom = checkpoint.Folder } };
    }

    /// <summary>Copies them into the model of a new run; nothing where it begins with random ones.</summary>
    /// <exception cref="InputException">They cannot be read, or do not fit.</exception>
    public static void CopyInto(TransformerModel model, TrainingConfig training)
    {
        if (training.InitFrom is not { } path) return;
        using var checkpoint = CheckpointFolder.Open(path);
        checkpoint.CopyInto(model.Weights);
    }
}
