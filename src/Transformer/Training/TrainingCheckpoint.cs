using System.Text.Json;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// All that a run needs to go on exactly where it stood: the weights, the optimizer's memory, the weight average, the state of the random number generator
/// and the counters. With a weight average the model file holds the average, and the weights themselves lie beside it. Of several ranks each writes what it
/// alone keeps, and as many others as there are may read it.
/// </summary>
internal static class TrainingCheckpoint
{
    private const string RandomState = "random_state", Weights = "weights";

    /// <summary>Saves everything whole or not at all.</summary>
    /// <exception cref="InputException">It cannot be written, on this rank.</exception>
    /// <exception cref="AgreedException">It cannot be written, on one of several.</exception>
    public static void Save(string folder, TrainingState state, Tokenizer tokenizer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (model, space, average) = (state.Model, state.Space, state.Average);
        var (ranks, isFirst) = (space.Ranks, space.Ranks.Rank == 0);
        List<(string Name, Tensor Value)> tensors = [(RandomState, get_rng_state())];
        if (isFirst || space.ShardsOptimizer) tensors.AddRange(state.Optimizer.State);
        if (average is not null && (isFirst || space.ShardsParameters)) tensors.AddRange(space.Pieces(Weights, space.Values.clone()));
        average?.Exchange();
        try
        {
            if (isFirst) CheckpointFolder.Save(folder, model.Config, tokenizer, JsonSerializer.SerializeToNode(state.Progress, ConfigJson.Options)!.AsObject(), WriteTensors);
            else WriteTensors("");
        }
        finally
        {
            average?.Exchange();
        }

        void WriteTensors(string partial)
        {
            partial = ranks.Gather(partial)[0];
            ranks.Together(() =>
            {
                TrainingTensors.Write(partial, tensors, ranks.Rank, ranks.Ranks);
                if (isFirst && !space.ShardsParameters) WeightFiles.Write(partial, model.Weights);
            });
            if (space.ShardsParameters) WriteBuckets(partial, model, space);
        }
    }

    // A file a bucket, turn by turn by another rank: no rank ever holds more than the bucket that is written.
    private static void WriteBuckets(string folder, TransformerModel model, ParameterSpace space)
    {
        var (ranks, buckets) = (space.Ranks, space.Buckets);
        var frozen = model.Weights.ExceptBy(space.Parameters.Select(parameter => parameter.Name), weight => weight.Name).ToList();
        for (var i = 0; i < buckets.Count; i++)
        {
            using var scope = NewDisposeScope();
            var (bucket, whole) = (buckets[i], space.Whole(buckets[i]));
            ranks.Together(() =>
            {
                if (i % ranks.Ranks == ranks.Rank)
                    WeightFiles.WriteShard(folder, bucket.Parameters.Select(parameter => (parameter.Name, bucket.View(whole, parameter))).Concat(i == 0 ? frozen : []), i, buckets.Count);
            });
        }
        if (ranks.Rank != 0) return;
        var names = buckets.Select((bucket, i) => bucket.Parameters.Select(parameter => parameter.Name).Concat(i == 0 ? frozen.Select(weight => weight.Name) : []));
        WeightFiles.WriteIndex(folder, [.. names], sizeof(float) * (space.Parameters.Sum(parameter => parameter.Count) + frozen.Sum(weight => weight.Value.numel())));
    }

    /// <summary>How far a run had come.</summary>
    /// <exception cref="InputException">The checkpoint is not that of a run.</exception>
    public static TrainingProgress Progress(CheckpointFolder checkpoint) => ConfigJson.FromJson<TrainingProgress>(checkpoint.TrainingState(), checkpoint.Folder);

    /// <summary>Puts the tensors of a state back.</summary>
    /// <exception cref="InputException">The checkpoint is not of this run.</exception>
    /// <exception cref="AgreedException">It is so on some rank, of several.</exception>
    public static void Load(CheckpointFolder checkpoint, TrainingState state)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (space, ranks) = (state.Space, state.Space.Ranks);
        space.WithFullParameters(() => ranks.Together(() => checkpoint.CopyInto(state.Model.Weights)));
        ranks.Together(() =>
        {
            using var file = checkpoint.OpenTraining();
            foreach (var (name, value) in state.Optimizer.State) file.ReadInto(name, value);
            if (state.Average is { } average)
            {
                average.Values.copy_(space.Values);
                foreach (var (name, value) in space.Pieces(Weights, space.Values)) file.ReadInto(name, value);
            }
            // As many ranks as there were go on with their random numbers. Others are given other rows, and begin with numbers of their own.
            if (file.Ranks != ranks.Ranks) return;
            var random = get_rng_state();
            file.ReadInto(RandomState, random, ranks.Rank);
            set_rng_state(random);
        });
    }
}
