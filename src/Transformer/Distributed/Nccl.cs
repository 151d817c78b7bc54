using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Distributed;

/// <summary>
/// Ranks with one GPU each. NCCL communicates GPU tensors on a stream of its own beside the computing one: an operation starts after all
/// that was queued before it, and work queued after <see cref="CollectiveWork.Wait"/> runs after it. No thread blocks for either. CPU
/// tensors, the small numbers that ranks exchange, are left to the host's collective, which also notices when a rank is gone.
/// </summary>
public sealed class Nccl : ICollective
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly ICollective host;
    private readonly Device device;
    private readonly NcclLibrary nccl;
    private readonly CudaStreams cuda;
    private readonly TextWriter error;
    private readonly nint communicator, stream, ready;
    private readonly ConcurrentBag<nint> freeEvents = [];    // events that can be used again
    private readonly ManualResetEventSlim ended = new();
    private readonly Thread watch;
    private Exception? failure;

    /// <param name="host">The ranks; owned by the caller.</param>
    /// <param name="device">This rank's device, used by no other rank.</param>
    /// <param name="nccl">NCCL.</param>
    /// <param name="cuda">The streams of the device's runtime.</param>
    /// <param name="error">Where a failed operation is reported before the job is ended.</param>
    internal Nccl(ICollective host, Device device, NcclLibrary nccl, CudaStreams cuda, TextWriter error)
    {
        (this.host, this.device, this.nccl, this.cuda, this.error) = (host, device, nccl, cuda, error);
        var id = Agree(host.RunOnAll(() => host.Rank == 0 ? nccl.NewId() : default));
        cuda.Use(device.index);
        communicator = nccl.Join(host.Ranks, id, host.Rank);
        (stream, ready) = (cuda.NewStream(), cuda.NewEvent());
        watch = new Thread(Watch) { IsBackground = true, Name = "NCCL" };
        watch.Start();
    }

    /// <inheritdoc/>
    public int Rank => host.Rank;

    /// <inheritdoc/>
    public int Ranks => host.Ranks;

    /// <inheritdoc/>
    public string CurrentOperation { get => host.CurrentOperation; set => host.CurrentOperation = value; }

    /// <inheritdoc/>
    public string? Backend => $"NCCL {nccl.Version} beside {host.Backend}";

    /// <summary>How long aborting a communicator may take; the job ends even if it does not return.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public CollectiveWork ReduceScatter(Tensor buffer) =>
        IsElsewhere(buffer) ? host.ReduceScatter(buffer) : Begin(buffer, ReductionOf(buffer));

    /// <inheritdoc/>
    public CollectiveWork AllGather(Tensor buffer) =>
        IsElsewhere(buffer) ? host.AllGather(buffer) : Begin(buffer, GatheringOf(buffer));

    /// <summary>
    /// A reduce-scatter followed by an all-gather. NCCL's own all-reduce may add up in another order, and the strategies would no longer
    /// take the same steps.
    /// </summary>
    public CollectiveWork AllReduce(Tensor buffer)
    {
        if (IsElsewhere(buffer)) return host.AllReduce(buffer);
        var (reduce, gather) = (ReductionOf(buffer), GatheringOf(buffer));
        return Begin(buffer, bytes =>
        {
            reduce(bytes);
            gather(bytes);
        });
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor tensor, int root)
    {
        if (IsElsewhere(tensor))
        {
            host.Broadcast(tensor, root);
            return;
        }
        Slices.RequireOnePiece(tensor);
        Begin(tensor, bytes => nccl.Broadcast(bytes, tensor.numel() * tensor.element_size(), root, communicator, stream)).Wait();
    }

    /// <inheritdoc/>
    public void Abort(int code)
    {
        Leave();
        host.Abort(code);
    }

    /// <summary>Leaves the communicator.</summary>
    public void Dispose()
    {
        if (ended.IsSet) return;
        if (failure is not null)
        {
            Leave();
            return;
        }
        ended.Set();
        watch.Join();
        cuda.Use(device.index);
        cuda.Finish(stream);
        nccl.Destroy(communicator);
        foreach (var handle in freeEvents.Append(ready)) cuda.FreeEvent(handle);
        cuda.FreeStream(stream);
        ended.Dispose();
    }

    private bool IsElsewhere(Tensor buffer) => buffer.device_type != device.type;

    private Action<nint> ReductionOf(Tensor buffer)
    {
        var slice = this.SliceOf(buffer);
        if (buffer.dtype is not (ScalarType.Float32 or ScalarType.Float64)) throw Slices.NotAddable(buffer);
        return bytes => nccl.ReduceScatter(bytes, slice, buffer.dtype == ScalarType.Float64, Rank, communicator, stream);
    }

    private Action<nint> GatheringOf(Tensor buffer)
    {
        var slice = this.SliceOf(buffer) * buffer.element_size();
        return bytes => nccl.AllGather(bytes, slice, Rank, communicator, stream);
    }

    // An event can be reused as soon as a stream waits for it: the stream keeps waiting for the position that was recorded then. Memory
    // that the caller frees after waiting is reused on the waiting stream, so not before the operation is over.
    private CollectiveWork Begin(Tensor buffer, Action<nint> operation)
    {
        // After a failure the ranks may no longer be at the same operation.
        if (failure is not null) throw new InvalidOperationException(failure.Message, failure);
        try
        {
            cuda.Use(device.index);
            cuda.Record(ready, cuda.Current(device.index));
            cuda.Wait(stream, ready);
            operation(Aten.DataPointer(buffer));
            var done = freeEvents.TryTake(out var handle) ? handle : cuda.NewEvent();
            cuda.Record(done, stream);
            return new CollectiveWork(() =>
            {
                cuda.Use(device.index);
                cuda.Wait(cuda.Current(device.index), done);
                freeEvents.Add(done);
                GC.KeepAlive(buffer);
            });
        }
        catch (Exception e)
        {
            failure = e;
            throw;
        }
    }

    private NcclLibrary.UniqueId Agree(NcclLibrary.UniqueId id)
    {
        using var scope = NewDisposeScope();
        var bytes = tensor(MemoryMarshal.AsBytes(new Span<NcclLibrary.UniqueId>(ref id)).ToArray());
        host.Broadcast(bytes, root: 0);
        return MemoryMarshal.Read<NcclLibrary.UniqueId>(bytes.data<byte>().ToArray());
    }

    // An operation that fails on the device, or whose peer is gone, may never end, and no call returns an error: it must be polled.
    private void Watch()
    {
        while (!ended.Wait(Interval))
        {
            if (nccl.AsynchronousError(communicator) is not { } what) continue;
            error.WriteLine($"rank {Rank}, {CurrentOperation}: NCCL, on {device}: {what}. The job ends; its last checkpoint is complete.");
            Abort(1);
            return;
        }
    }

    private void Leave()
    {
        if (ended.IsSet) return;
        ended.Set();
        if (Thread.CurrentThread != watch) watch.Join(Patience);    // it may be polling the communicator
        Task.Run(() => nccl.Abort(communicator)).Wait(Patience);
    }
}
