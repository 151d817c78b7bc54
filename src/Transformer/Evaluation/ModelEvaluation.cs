using Transformer.Data;
using Transformer.Distributed;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

/// <summary>Measures a model's loss and accuracy on batches. Dropout is off, and no random number is drawn.</summary>
public static class ModelEvaluation
{
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="batches">What it predicts; targets of <see cref="Batch.IgnoredTarget"/> do not count.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    public static EvaluationResult Measure(TransformerModel model, IEnumerable<Batch> batches, CancellationToken cancellation = default) =>
        Measure(model, batches, new SingleProcess(), cancellation);

    /// <summary>The same on several ranks, each of which gets the result.</summary>
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="batches">All batches, the same on each rank.</param>
    /// <param name="ranks">The ranks that divide the batches; under tensor parallelism all of them work on each batch.</param>
    /// <param name="cancellation">Ends the measurement between two batches, on all ranks at the same one.</param>
    public static EvaluationResult Measure(
        TransformerModel model, IEnumerable<Batch> batches, ICollective ranks, CancellationToken cancellation = default)
    {
        using var _ = inference_mode();
        return WithoutDropout(model, () =>
        {
            var tally = new Tally();
            using var reader = new SegmentReader(model);
            foreach (var (batch, counts) in Share(batches, model.TensorParallelGroup is null ? ranks : new SingleProcess()))
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var (inputs, targets) = BatchTensors.On(batch, model.Device);
                (var hidden, targets) = BatchTensors.Labelled(reader.Hidden(inputs, batch), targets, batch);
                if (!counts) continue;
                var right = new List<bool>();
                foreach (var (rows, labels) in Chunks(hidden, targets, model.Config.VocabularySize!.Value))
                {
                    using var chunk = NewDisposeScope();
                    var correct = tally.Add(model.Logits(rows), labels);                                    // [1, n]
                    if (batch.Sorts is not null) right.AddRange(correct.flatten().cpu().data<bool>().ToArray());
                }
                tally.Tokens += batch.Predictions;
                tally.Rows.Add(batch, right);
            }
            double[] counted = [tally.Loss, tally.Tokens, tally.Correct];
            if (model.TensorParallelGroup is { } group) return Tally.Sum([group.OfFirst(counted)], [tally.Rows]);
            return Tally.Sum(ranks.Gather(counted), [.. ranks.Gather(tally.Rows.ToText()).Select(RowTally.Parse)]);
        });
    }

    /// <summary>The same for another implementation of the model.</summary>
    /// <param name="batches">What is predicted.</param>
    /// <param name="logits">The logits of a batch: [B, T, V].</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    internal static EvaluationResult Measure(IEnumerable<Batch> batches, Func<Batch, Tensor> logits, CancellationToken cancellation)
    {
        using var _ = inference_mode();
        var tally = new Tally();
        foreach (var batch in batches)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            tally.Add(logits(batch), BatchTensors.On(batch, CPU).Targets);
            tally.Tokens += batch.Predictions;
        }
        return Tally.Sum([[tally.Loss, tally.Tokens, tally.Correct]], []);
    }

    /// <summary>The mean spans of a model's learned windows on a batch; see <see cref="TransformerModel.MeanSpans"/>.</summary>
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="batch">What it reads.</param>
    /// <param name="chosen">The tokens that count, by their places in the batch, such as those with a target; all where null.</param>
    public static IReadOnlyList<IReadOnlyList<float>>? MeanSpans(
        TransformerModel model, Batch batch, IReadOnlyList<int>? chosen = null)
    {
        using var _ = inference_mode();
        using var scope = NewDisposeScope();
        return WithoutDropout(model, () => model.MeanSpans(
            BatchTensors.On(batch, model.Device).Inputs, chosen, BatchTensors.Pictures(batch, model)));
    }

    // Round-robin over the ranks. When the batches run out, the remaining ranks get one that does not count, since they may be needed for
    // its forward passes.
    // Batches that go on from each other are divided row by row instead.
    private static IEnumerable<(Batch Batch, bool Counts)> Share(IEnumerable<Batch> batches, ICollective ranks)
    {
        foreach (var round in batches.Chunk(ranks.Ranks))
        {
            if (round[0].Starts is null) yield return ranks.Rank < round.Length ? (round[ranks.Rank], true) : (round[0], false);
            else
                foreach (var batch in round)
                {
                    var parts = Math.Min(ranks.Ranks, batch.Rows);
                    yield return (batch.Share(Math.Min(ranks.Rank, parts - 1), parts), ranks.Rank < parts);
                }
        }
    }

    // Chunks of as many tokens as LanguageModelLoss computes logits for at once: [1, n, C] and [1, n].
    private static IEnumerable<(Tensor Hidden, Tensor Targets)> Chunks(Tensor hidden, Tensor targets, long vocabulary)
    {
        var rows = LanguageModelLoss.RowsAtOnce(targets.numel(), vocabulary);
        return hidden.flatten(0, 1).unsqueeze(0).split(rows, 1).Zip(targets.flatten().unsqueeze(0).split(rows, 1));
    }

    /// <summary>What a measurement gives with a model in evaluation; its training mode is restored.</summary>
    internal static T WithoutDropout<T>(TransformerModel model, Func<T> measure)
    {
        var wasTraining = model.training;
        model.eval();
        try
        {
            return measure();
        }
        finally
        {
            model.train(wasTraining);
        }
    }

    // The counts of one process.
    private sealed class Tally
    {
        public double Loss { get; private set; }

        public long Correct { get; private set; }

        public long Tokens { get; set; }

        public RowTally Rows { get; } = new();

        // Which of the tokens are right: [1, n].
        public Tensor Add(Tensor logits, Tensor targets)
        {
            Loss += LanguageModelLoss.CrossEntropy(logits, targets, reduction: nn.Reduction.Sum).item<float>();
            var correct = logits.argmax(-1) == targets;
            Correct += correct.sum().item<long>();
            return correct;
        }

        public static EvaluationResult Sum(double[][] ranks, IReadOnlyList<RowTally> rows)
        {
            var tokens = (long)ranks.Sum(rank => rank[1]);
            return new(ranks.Sum(rank => rank[0]) / tokens, tokens, (long)ranks.Sum(rank => rank[2])) { Rows = RowTally.Sum(rows) };
        }
    }
}
