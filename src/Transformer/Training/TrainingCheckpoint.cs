using System.Text.Json;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Formats;
using Transformer.Layers;
using Transformer.Layers.Memory;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// All that a run needs to resume exactly: the weights, the optimizer's state, the weight average, the state of the random number generator
/// and the counters. With a weight average the model file holds the average, and the weights are stored beside it. Each of several ranks
/// writes what it alone keeps; any number of ranks can read it.
/// </summary>
internal static class TrainingCheckpoint
{
    private const string RandomState = "random_state", Weights = "weights";

    /// <summary>Saves everything whole or not at all.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="state">What steps change.</param>
    /// <param name="memory">What the model remembers of its text, of this rank's rows; null for nothing.</param>
    /// <param name="batchSize">B, the rows of all ranks.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <exception cref="InputException">It cannot be written, on this rank.</exception>
    /// <exception cref="CollectiveException">It cannot be written, on one of several.</exception>
    public static void Save(string folder, TrainingState state, SegmentMemory? memory, int batchSize, Tokenizer tokenizer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (model, space, average) = (state.Model, state.Space, state.Average);
        var (ranks, isFirst) = (space.Processes, space.Processes.Rank == 0);
        var tensors = new List<(string Name, Tensor Value)>();
        // Under tensor parallelism all ranks draw the same numbers, so one of them saves the state.
        if (isFirst || model.TensorParallelGroup is null) tensors.Add((RandomState, get_rng_state()));
        var weights = average is null ? [] : space.Pieces(Weights, space.Values.clone());
        if (model.TensorParallelGroup is not null)
            tensors.AddRange(TensorParallelCheckpoint.Parts(model.TensorParallelGroup, space, state.Optimizer.State.Concat(weights)));
        else
        {
            if (isFirst || space.ShardsOptimizer) tensors.AddRange(state.Optimizer.State);
            if (isFirst || space.ShardsParameters) tensors.AddRange(weights);
        }
        if (isFirst || model.TensorParallelGroup is null)
            tensors.AddRange(MemoryCheckpoint.Of(model, memory, RowsOf(space, batchSize).First));
        var progress = state.Progress with { Memory = MemoryCheckpoint.Shapes(model, memory) };
        average?.Exchange();
        try
        {
            if (isFirst)
                CheckpointFolder.Save(
                    folder, model.Config, tokenizer, JsonSerializer.SerializeToNode(progress, ConfigJson.Options)!.AsObject(),
                    WriteTensors);
            else WriteTensors("");
        }
        finally
        {
            average?.Exchange();
        }

        void WriteTensors(string partial)
        {
            var isParted = space.ShardsParameters || model.TensorParallelGroup is not null;
            partial = ranks.Gather(partial)[0];
            ranks.RunOnAll(() =>
            {
                TrainingTensors.Write(partial, tensors, ranks.Rank, ranks.Ranks);
                if (isFirst && !isParted) WeightFiles.Write(partial, model.Weights.ToStored());
            });
            if (isParted) WriteBuckets(partial, model, space);
        }
    }

    private static (int First, int End) RowsOf(ParameterSpace space, int batchSize) =>
        Batch.RowsOf(space.Ranks.Rank, space.Ranks.Ranks, batchSize);

    /// <summary>Restores what the model remembers of its text.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="state">The state whose progress is the checkpoint's.</param>
    /// <param name="batchSize">B, the rows of all ranks.</param>
    /// <returns>Null where it remembers nothing.</returns>
    /// <exception cref="InputException">The checkpoint is not of this run.</exception>
    public static SegmentMemory? LoadMemory(CheckpointFolder checkpoint, TrainingState state, int batchSize)
    {
        if (state.Progress.Memory is not { } shapes) return null;
        var (first, end) = RowsOf(state.Space, batchSize);
        using var file = checkpoint.OpenTraining();
        return MemoryCheckpoint.Load(file, state.Model, shapes, first, end - first);
    }

    // One file per bucket, written by the ranks round-robin: no rank ever holds more than one bucket. The first file also has the frozen
    // parameters.
    private static void WriteBuckets(string folder, TransformerModel model, ParameterSpace space)
    {
        var (ranks, buckets) = (space.Processes, space.Buckets);
        var frozen = model.Weights.ExceptBy(space.Parameters.Select(parameter => parameter.Name), weight => weight.Name).ToList();
        var (names, numbers) = (new List<string[]>(), 0L);
        for (var i = 0; i < buckets.Count; i++)
        {
            using var scope = NewDisposeScope();
            List<(string Name, Tensor Value)> weights = [
                .. Whole(model, space, buckets[i]), .. i == 0 ? frozen.Select(weight => (weight.Name, Whole(model, weight))) : []];
            ranks.RunOnAll(() =>
            {
                if (i % ranks.Ranks == ranks.Rank) WeightFiles.WriteShard(folder, weights.ToStored(), i, buckets.Count);
            });
            names.Add([.. weights.Select(weight => weight.Name)]);
            numbers += weights.Sum(weight => weight.Value.numel());
        }
        if (ranks.Rank == 0) WeightFiles.WriteIndex(folder, names, sizeof(float) * numbers);
    }

    private static IEnumerable<(string Name, Tensor Value)> Whole(TransformerModel model, ParameterSpace space, Bucket bucket)
    {
        if (model.TensorParallelGroup is not null)
            return bucket.Parameters.Select(parameter => (parameter.Name, Whole(model, (parameter.Name, parameter.Value))));
        var whole = space.Whole(bucket);
        return bucket.Parameters.Select(parameter => (parameter.Name, bucket.View(whole, parameter)));
    }

    private static Tensor Whole(TransformerModel model, (string Name, Tensor Value) weight) =>
        model.TensorParallelGroup is { } group ? TensorParallelSplit.Join(model.ParameterSpecs[weight.Name], weight.Value, group)
            : weight.Value;

    /// <summary>The progress of a checkpoint.</summary>
    /// <exception cref="InputException">The checkpoint is not that of a run.</exception>
    public static TrainingProgress Progress(CheckpointFolder checkpoint) =>
        ConfigJson.FromJson<TrainingProgress>(checkpoint.TrainingState(), checkpoint.Folder);

    /// <summary>Restores the tensors of a state.</summary>
    /// <exception cref="InputException">The checkpoint is not of this run.</exception>
    /// <exception cref="CollectiveException">The same on some of several ranks.</exception>
    public static void Load(CheckpointFolder checkpoint, TrainingState state)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (model, space) = (state.Model, state.Space);
        space.WithFullParameters(() => space.Processes.RunOnAll(() => checkpoint.CopyInto(model.Weights, model.TensorParallelGroup)));
        space.Processes.RunOnAll(() =>
        {
            using var file = checkpoint.OpenTraining();
            foreach (var (name, value) in state.Optimizer.State) Read(file, name, value);
            if (state.Average is { } average)
            {
                average.Values.copy_(space.Values);
                foreach (var (name, value) in space.Pieces(Weights, space.Values)) Read(file, name, value);
            }
            // The same number of ranks resume with their random numbers. Other numbers of ranks get other rows, and draw anew.
            if (file.RanksWith(RandomState) != space.Ranks.Ranks) return;
            var random = get_rng_state();
            file.ReadInto(RandomState, random, space.Ranks.Rank);
            set_rng_state(random);
        });

        void Read(TrainingTensors file, string name, Tensor value)
        {
            if (model.TensorParallelGroup is not null)
                TensorParallelCheckpoint.ReadInto(file, model.TensorParallelGroup, space, name, value);
            else file.ReadInto(name, value);
        }
    }
}
