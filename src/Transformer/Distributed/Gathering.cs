using System.Text;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Distributed;

/// <summary>
/// Gathers numbers and texts from all ranks. Sums are taken in the order of the ranks, so that all ranks get the same.
/// </summary>
public static class Gathering
{
    /// <summary>The numbers of all ranks, by rank; equally many on each.</summary>
    public static double[][] Gather(this ICollective ranks, params double[] mine)
    {
        if (ranks.Ranks == 1) return [mine];
        using var scope = NewDisposeScope();
        var all = zeros(ranks.Ranks, mine.Length, dtype: ScalarType.Float64);
        all[ranks.Rank].copy_(tensor(mine));
        ranks.AllGather(all).Wait();
        return [.. all.data<double>().ToArray().Chunk(mine.Length)];
    }

    /// <summary>The texts of all ranks, by rank.</summary>
    public static string[] Gather(this ICollective ranks, string mine)
    {
        if (ranks.Ranks == 1) return [mine];
        using var scope = NewDisposeScope();
        var bytes = Encoding.UTF8.GetBytes(mine);
        int[] lengths = [.. ranks.Gather(bytes.Length).Select(length => (int)length[0])];
        var all = zeros(ranks.Ranks, Math.Max(1, lengths.Max()), dtype: ScalarType.Byte);
        all[ranks.Rank].narrow(0, 0, bytes.Length).copy_(tensor(bytes));
        ranks.AllGather(all).Wait();
        var gathered = all.data<byte>().ToArray().Chunk((int)all.shape[1]);
        return [.. gathered.Zip(lengths, (text, length) => Encoding.UTF8.GetString(text, 0, length))];
    }

    /// <summary>
    /// Runs an action on every rank and fails on all ranks if it failed on any. The action must not wait for other ranks.
    /// </summary>
    /// <exception cref="CollectiveException">It failed on some rank.</exception>
    public static T RunOnAll<T>(this ICollective ranks, Func<T> act)
    {
        if (ranks.Ranks == 1) return act();
        var (result, failure) = (default(T), (Exception?)null);
        try
        {
            result = act();
        }
        catch (Exception e)
        {
            failure = e;
        }
        var failed = ranks.Gather(failure is null ? 0 : 1);
        var first = Array.FindIndex(failed, rank => rank[0] != 0);
        if (first < 0) return result!;
        throw failure is not null && first == ranks.Rank
            ? new CollectiveException(first == 0 ? failure.Message : $"rank {first}: {failure.Message}", failure)
            : new CollectiveException();
    }

    /// <inheritdoc cref="RunOnAll{T}"/>
    public static void RunOnAll(this ICollective ranks, Action act) => ranks.RunOnAll(() =>
    {
        act();
        return true;
    });

    /// <summary>Checks that a text is the same on every rank.</summary>
    /// <param name="ranks">All ranks, which must ask together.</param>
    /// <param name="mine">This rank's text.</param>
    /// <param name="difference">Makes the message for the first rank that differs from its number, its text and rank 0's.</param>
    /// <exception cref="CollectiveException">They differ; rank 0 has the message.</exception>
    public static void RequireEqual(this ICollective ranks, string mine, Func<int, string, string, string> difference)
    {
        var all = ranks.Gather(mine);
        var other = Array.FindIndex(all, text => text != all[0]);
        if (other < 0) return;
        if (ranks.Rank != 0) throw new CollectiveException();
        var problem = new InputException(difference(other, all[other], all[0]));
        throw new CollectiveException(problem.Message, problem);
    }

    /// <summary>The sum over all ranks.</summary>
    public static double Sum(this ICollective ranks, double mine) => ranks.Gather(mine).Sum(numbers => numbers[0]);

    /// <summary>Whether the value is true on any rank.</summary>
    public static bool Any(this ICollective ranks, bool mine) => ranks.Sum(mine ? 1 : 0) > 0;
}
