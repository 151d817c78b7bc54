using System.Diagnostics;
using Transformer.Data;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The number of threads with which a run's steps are fastest here and now, by a short measurement: all of them, unless other work holds
/// cores, or the model is too small for so many. Threads wait for each other at the end of each operator, so that one that finds no core
/// delays all.
/// </summary>
/// <param name="Threads">The fastest number.</param>
/// <param name="Most">All threads that there are.</param>
/// <param name="Seconds">Seconds of a forward and backward pass with them; NaN where nothing was measured.</param>
/// <param name="MostSeconds">The same with all threads.</param>
public sealed record ThreadChoice(int Threads, int Most, double Seconds, double MostSeconds)
{
    private const int Rounds = 5, FewestPasses = 4;
    private const double RoundSeconds = 0.1, PairSeconds = 1;

    // Times vary by some percent, and a core that is busy now may be free soon: on a tie all threads are kept.
    private const double Gain = 0.9;

    /// <summary>
    /// Measures passes with all threads and with half of them in turn, and goes on to halve while fewer are faster by a tenth. Parameters,
    /// gradients and the random state stay as they are; libtorch then uses the chosen number.
    /// </summary>
    /// <param name="step">The run's step.</param>
    /// <param name="batch">The batch of the passes.</param>
    /// <param name="passes">How many passes may be spent at most; too few for a measurement leave all threads.</param>
    public static ThreadChoice Measure(TrainingStep step, Batch batch, int passes)
    {
        var random = get_rng_state();
        try
        {
            var choice = Measure(Math.Min(get_num_threads(), Environment.ProcessorCount), passes, threads =>
            {
                set_num_threads(threads);
                var watch = Stopwatch.StartNew();
                step.DiscardGradients([batch]);
                return watch.Elapsed.TotalSeconds;
            });
            set_num_threads(choice.Threads);
            return choice;
        }
        finally
        {
            set_rng_state(random);
        }
    }

    /// <param name="most">All threads.</param>
    /// <param name="passes">How many passes may be spent at most.</param>
    /// <param name="pass">Makes a pass with a number of threads, and tells its seconds.</param>
    internal static ThreadChoice Measure(int most, int passes, Func<int, double> pass)
    {
        var choice = new ThreadChoice(most, most, double.NaN, double.NaN);
        if (most == 1 || passes < FewestPasses) return choice;
        pass(most);    // loads code and fills the allocator
        passes--;
        while (choice.Threads > 1)
        {
            var fewer = choice.Threads / 2;
            var (time, fewerTime) = Compare(choice.Threads, fewer);
            if (double.IsNaN(choice.Seconds)) choice = choice with { Seconds = time, MostSeconds = time };
            if (!(fewerTime < Gain * time)) break;
            choice = choice with { Threads = fewer, Seconds = fewerTime };
        }
        return choice;

        // Seconds of a pass with each, in turn, so that what comes and goes on the machine meets both; NaN where no pass is left.
        (double Time, double FewerTime) Compare(int threads, int fewer)
        {
            var (total, fewerTotal, rounds) = (0.0, 0.0, 0);
            while (rounds < Rounds && passes >= 2 && total + fewerTotal < PairSeconds)
            {
                var (seconds, count) = (pass(threads), 1);
                for (; seconds < RoundSeconds && 2 * (count + 1) <= passes; count++) seconds += pass(threads);
                total += seconds / count;
                fewerTotal += Enumerable.Range(0, count).Sum(_ => pass(fewer)) / count;
                passes -= 2 * count;
                rounds++;
            }
            return (total / rounds, fewerTotal / rounds);
        }
    }
}
