using System.Text.Json;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// All that a run needs to go on exactly where it stood: the weights, the optimizer's memory, the weight average, the state of the random number generator
/// and the counters. With a weight average the model file holds the average, and the weights themselves lie beside it.
/// </summary>
internal static class TrainingCheckpoint
{
    private const string RandomState = "random_state", Weights = "weights";

    /// <summary>Saves everything whole or not at all.</summary>
    public static void Save(
        string folder, TransformerModel model, Tokenizer tokenizer, ParameterSpace space, Optimizer optimizer, WeightAverage? average, TrainingProgress progress)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var state = optimizer.State.Append((RandomState, get_rng_state())).ToList();
        if (average is not null) state.Add((Weights, space.Values.clone()));
        average?.Exchange();
        try
        {
            CheckpointFolder.Save(folder, model.Config, model.Weights, tokenizer, state, JsonSerializer.SerializeToNode(progress, ConfigJson.Options)!.AsObject());
        }
        finally
        {
            average?.Exchange();
        }
    }

    /// <summary>Puts everything back.</summary>
    /// <returns>How far the run had come.</returns>
    /// <exception cref="InputException">The checkpoint is not of this run.</exception>
    public static TrainingProgress Load(CheckpointFolder checkpoint, TransformerModel model, ParameterSpace space, Optimizer optimizer, WeightAverage? average)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        checkpoint.CopyInto(model.Weights);
        using var file = checkpoint.OpenTraining();
        foreach (var (name, value) in optimizer.State) file.ReadInto(name, value);
        if (average is not null)
        {
            average.Values.copy_(space.Values);
            file.ReadInto(Weights, space.Values);
        }
        var random = get_rng_state();
        file.ReadInto(RandomState, random);
        set_rng_state(random);
        return ConfigJson.FromJson<TrainingProgress>(checkpoint.TrainingState(), checkpoint.Folder);
    }
}
