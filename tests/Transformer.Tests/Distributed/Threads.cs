using System.Runtime.ExceptionServices;
using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>
/// Ranks that are threads of this process and see each other's buffers: the plain implementation of <see cref="ICollective"/>.
/// </summary>
internal sealed class Threads : ICollective
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Barrier barrier;
    private readonly Tensor[] buffers;

    private Threads(int rank, Tensor[] buffers, Barrier barrier) => (Rank, this.buffers, this.barrier) = (rank, buffers, barrier);

    public int Rank { get; }

    public int Ranks => buffers.Length;

    public string CurrentOperation { get; set; } = "";

    /// <summary>The number of all-gathers.</summary>
    public int Gatherings { get; private set; }

    /// <summary>Runs an action on several ranks.</summary>
    public static void Run(int ranks, Action<ICollective> act)
    {
        using var barrier = new Barrier(ranks);
        var (buffers, failures) = (new Tensor[ranks], new Exception?[ranks]);
        Thread[] threads = [.. Enumerable.Range(0, ranks).Select(rank => new Thread(() =>
        {
            try
            {
                act(new Threads(rank, buffers, barrier));
            }
            catch (Exception e)
            {
                failures[rank] = e;
                barrier.RemoveParticipant();
            }
        }))];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        if (failures.FirstOrDefault(failure => failure is not null) is { } first) ExceptionDispatchInfo.Capture(first).Throw();
    }

    public CollectiveWork ReduceScatter(Tensor buffer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Show(buffer);
        var sum = Slice(buffers[(Rank + 1) % Ranks], Rank).clone();
        for (var next = 2; next <= Ranks; next++) sum.add_(Slice(buffers[(Rank + next) % Ranks], Rank));
        Meet();
        Slice(buffer, Rank).copy_(sum);
        return new CollectiveWork(Task.CompletedTask);
    }

    public CollectiveWork AllGather(Tensor buffer)
    {
        Gatherings++;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Show(buffer);
        for (var rank = 0; rank < Ranks; rank++)
            if (rank != Rank) Slice(buffer, rank).copy_(Slice(buffers[rank], rank));
        Meet();
        return new CollectiveWork(Task.CompletedTask);
    }

    public void Broadcast(Tensor tensor, int root)
    {
        using var _ = no_grad();
        Show(tensor);
        if (Rank != root) tensor.copy_(buffers[root]);
        Meet();
    }

    public void Abort(int code) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    private Tensor Slice(Tensor buffer, int rank) => buffer.flatten().narrow(0, rank * (buffer.numel() / Ranks), buffer.numel() / Ranks);

    private void Show(Tensor buffer)
    {
        buffers[Rank] = buffer;
        Meet();
    }

    private void Meet() => Assert.True(barrier.SignalAndWait(Patience), "a rank did not come");
}
