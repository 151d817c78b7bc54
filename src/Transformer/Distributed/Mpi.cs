using System.Collections.Concurrent;
using TorchSharp;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Distributed;

/// <summary>
/// The ranks of mpirun or srun. One thread makes all calls to MPI, one operation after the other: communication overlaps with the caller's
/// computation, and any MPI will do, whatever its thread support.
/// </summary>
public sealed unsafe class Mpi : ICollective
{
    private static readonly TimeSpan Idle = TimeSpan.FromMilliseconds(100);

    // MPI's own start waits for all ranks without an end, and no rank hears of another before it.
    private static readonly TimeSpan StartPatience = TimeSpan.FromMinutes(10);

    private readonly BlockingCollection<Action> operations = [];
    private readonly MpiLibrary mpi;
    private readonly TextWriter error;
    private readonly Thread thread;
    private readonly TaskCompletionSource joined = new();
    private Ring ring = null!;    // made by the thread before the constructor returns
    private Heartbeat heartbeat = null!;
    private Exception? failure;
    private volatile string currentOperation = "its start";
    private volatile int exitCode = -1;

    /// <param name="mpi">The MPI of the launcher.</param>
    /// <param name="error">Where the loss of another rank is reported before the job is ended.</param>
    internal Mpi(MpiLibrary mpi, TextWriter error)
    {
        (this.mpi, this.error) = (mpi, error);
        thread = new Thread(Work) { IsBackground = true, Name = "MPI" };
        thread.Start();
        try
        {
            joined.Task.WaitAsync(StartPatience).GetAwaiter().GetResult();
        }
        catch (TimeoutException e)
        {
            throw new InputException(
                $"the other ranks did not join within {StartPatience.TotalMinutes:f0} minutes. " +
                "Start all ranks with the same verb and options.", e);
        }
    }

    /// <inheritdoc/>
    public int Rank { get; private set; }

    /// <inheritdoc/>
    public int Ranks { get; private set; }

    /// <inheritdoc/>
    public string? Backend { get; private set; }

    /// <inheritdoc/>
    public string CurrentOperation { get => currentOperation; set => currentOperation = value; }

    /// <inheritdoc/>
    public CollectiveWork ReduceScatter(Tensor buffer)
    {
        var slice = this.SliceOf(buffer) * buffer.element_size();
        return buffer.dtype switch
        {
            ScalarType.Float32 => Begin(buffer, bytes => ring.ReduceScatter<float>(bytes, slice)),
            ScalarType.Float64 => Begin(buffer, bytes => ring.ReduceScatter<double>(bytes, slice)),
            _ => throw Slices.NotAddable(buffer),
        };
    }

    /// <inheritdoc/>
    public CollectiveWork AllGather(Tensor buffer)
    {
        var slice = this.SliceOf(buffer) * buffer.element_size();
        return Begin(buffer, bytes => ring.AllGather(bytes, slice));
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor tensor, int root)
    {
        Slices.RequireOnePiece(tensor);
        Begin(tensor, bytes => ring.Broadcast(bytes, tensor.numel() * tensor.element_size(), root)).Wait();
    }

    /// <inheritdoc/>
    public void Abort(int code)
    {
        exitCode = code;
        thread.Join(TimeSpan.FromSeconds(5));
        Environment.Exit(code);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        operations.CompleteAdding();
        thread.Join();
        operations.Dispose();
    }

    private delegate void Carrying(byte* bytes);

    private CollectiveWork Begin(Tensor buffer, Carrying carry)
    {
        if (buffer.device_type != DeviceType.CPU)
            throw new ArgumentException($"the buffer lies on {buffer.device}, and MPI carries the processor's memory", nameof(buffer));
        var done = new TaskCompletionSource();
        operations.Add(() =>
        {
            try
            {
                // After a failure the ranks may no longer be at the same operation.
                if (failure is not null) throw new InvalidOperationException(failure.Message, failure);
                carry((byte*)Aten.DataPointer(buffer));
                GC.KeepAlive(buffer);
                done.SetResult();
            }
            catch (Exception e)
            {
                failure ??= e;
                done.SetException(e);
            }
        });
        return new CollectiveWork(done.Task);
    }

    private void Work()
    {
        try
        {
            (Rank, Ranks) = mpi.Initialize();
            Backend = mpi.Version();
            heartbeat = new Heartbeat(mpi, Rank, Ranks);
            ring = new Ring(mpi, Rank, Ranks, Listen);
        }
        catch (Exception e)
        {
            joined.SetException(e);
            return;
        }
        joined.SetResult();
        while (!operations.IsCompleted)
        {
            if (operations.TryTake(out var operation, Idle)) operation();
            Listen();
        }
        heartbeat.Finish(wait: () =>
        {
            Listen();
            Thread.Sleep(1);    // a blocking wait of MPI would miss other messages
        });
        mpi.Finish();
        heartbeat.Dispose();
        ring.Dispose();
    }

    // Called repeatedly, also while an operation waits for other ranks.
    private void Listen()
    {
        if (heartbeat.Beat(currentOperation) is { } silence && exitCode < 0)
        {
            error.WriteLine($"{silence}. The job ends; its last checkpoint is complete.");
            exitCode = 1;
        }
        if (exitCode >= 0) mpi.Abort(exitCode);
    }
}
