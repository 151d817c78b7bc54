using System.Diagnostics;
using Transformer.Data;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Reproductions;

// B sequences · T associations · N queries · S keys, as many values

/// <summary>
/// Associative retrieval (Schlag et al. 2021, arXiv:2102.11174, section 6.1): a memory stores associations of S keys with S values and is
/// queried for the value that a key was last given. A sum of outer products separates as many keys as its features are wide; the delta rule
/// can overwrite.
/// </summary>
/// <param name="Rule">How the memory keeps and reads.</param>
/// <param name="Replacement">Whether keys repeat, with other values.</param>
/// <param name="Keys">S</param>
/// <param name="Loss">The lowest evaluation: half the squared distance from the value's one-hot code, 0.5 for a memory that returns
/// zeros.</param>
/// <param name="Published">The paper's loss; null where it is not stated.</param>
/// <param name="Steps">How many steps were trained.</param>
/// <param name="Seconds">How long they and the evaluations took.</param>
public sealed record AssociativeRetrieval(
    RetrievalRule Rule, bool Replacement, int Keys, double Loss, double? Published, int Steps, double Seconds)
{
    private const int BatchSize = 32, EvaluateEvery = 100, HeldOut = 20, Patience = 10;
    private const double LearningRate = 1e-3, Solved = 1e-3;

    /// <summary>
    /// The results of the paper's two experiments. Null where no figure is stated: softmax solves all of them, and the sum rule stays
    /// between 0.097 and 0.113 when keys repeat.
    /// </summary>
    public static IReadOnlyDictionary<(RetrievalRule Rule, bool Replacement, int Keys), double?> Figures { get; } =
        new Dictionary<(RetrievalRule, bool, int), double?>
        {
            [(RetrievalRule.Softmax, false, 100)] = null,
            [(RetrievalRule.Softmax, false, 200)] = null,
            [(RetrievalRule.Softmax, false, 400)] = null,
            [(RetrievalRule.Elu, false, 40)] = .0008,
            [(RetrievalRule.Elu, false, 60)] = .0245,
            [(RetrievalRule.Elu, false, 80)] = .108,
            [(RetrievalRule.Elu, false, 100)] = .164,
            [(RetrievalRule.Dpfp1, false, 100)] = .0002,
            [(RetrievalRule.Dpfp1, false, 120)] = .0083,
            [(RetrievalRule.Dpfp1, false, 140)] = .051,
            [(RetrievalRule.Dpfp1, false, 200)] = .173,
            [(RetrievalRule.Dpfp2, false, 240)] = .0005,
            [(RetrievalRule.Dpfp2, false, 260)] = .0084,
            [(RetrievalRule.Dpfp2, false, 300)] = .068,
            [(RetrievalRule.Dpfp1, true, 20)] = .097,
            [(RetrievalRule.Dpfp1, true, 40)] = null,
            [(RetrievalRule.Dpfp1, true, 60)] = null,
            [(RetrievalRule.Dpfp1, true, 80)] = null,
            [(RetrievalRule.Dpfp1, true, 100)] = null,
            [(RetrievalRule.Delta, true, 20)] = .0008,
            [(RetrievalRule.Delta, true, 40)] = .0010,
            [(RetrievalRule.Delta, true, 60)] = .0049,
            [(RetrievalRule.Delta, true, 80)] = .0063,
            [(RetrievalRule.Delta, true, 100)] = .0001,
        };

    /// <summary>Trains one memory, until it is solved or no longer improves.</summary>
    /// <param name="rule">How the memory keeps and reads.</param>
    /// <param name="replacement">Whether keys repeat; training sequences then have 2 S associations, evaluated ones S.</param>
    /// <param name="keys">S</param>
    /// <param name="seed">Of the parameters and the sequences.</param>
    /// <param name="maximumSteps">The longest training.</param>
    /// <param name="cancellation">Ends it between two steps.</param>
    public static AssociativeRetrieval Run(
        RetrievalRule rule, bool replacement, int keys, int seed, int maximumSteps = 100_000, CancellationToken cancellation = default)
    {
        using var oneThread = new OneThread();
        var watch = Stopwatch.StartNew();
        manual_seed(seed);
        using var memory = new RetrievalMemory(rule, keys);
        using var optimizer = optim.Adam(memory.parameters(), LearningRate);
        var training = new RetrievalSequences(keys, replacement, length: replacement ? 2 * keys : keys, CounterRandom.Bits((ulong)seed, 0));
        var heldOut = new RetrievalSequences(keys, replacement, length: keys, CounterRandom.Bits((ulong)seed, 1));
        var (best, failures, steps) = (double.PositiveInfinity, 0, 0);
        while (steps < maximumSteps && best > Solved && failures < Patience)
        {
            for (var i = 0; i < EvaluateEvery; i++, steps++)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                Error(memory, training.Rows(BatchSize * steps, BatchSize)).backward();
                optimizer.step();
            }
            var loss = Evaluate(memory, heldOut);
            failures = loss < best ? 0 : failures + 1;
            best = Math.Min(best, loss);
        }
        return new(rule, replacement, keys, best, Figures.GetValueOrDefault((rule, replacement, keys)), steps, watch.Elapsed.TotalSeconds);
    }

    private static double Evaluate(RetrievalMemory memory, RetrievalSequences heldOut)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        return Enumerable.Range(0, HeldOut).Average(row => Error(memory, heldOut.AllOf(row)).item<float>());
    }

    private static Tensor Error(RetrievalMemory memory, RetrievalSequences.Batch batch)
    {
        var read = memory.call(batch.Keys, batch.Values, batch.Queries);                            // [B, N, S]
        return (read - nn.functional.one_hot(batch.Answers, read.shape[2])).square().sum(-1).mean() / 2;
    }
}
