using static TorchSharp.torch;

namespace Transformer.Distributed;

// N ranks, numbered from 0

/// <summary>
/// Collective operations of the processes of one training run. Every rank starts the same operations in the same order; they run in that
/// order, asynchronously, after the computations that were started before them. A buffer has N slices of equal length, of which slice r
/// belongs to rank r; it must not be touched until its <see cref="CollectiveWork"/> was waited for. CPU tensors are always supported;
/// tensors of a device where the ranks have been connected for it.
/// </summary>
public interface ICollective : IDisposable
{
    /// <summary>The number of this process, from 0.</summary>
    int Rank { get; }

    /// <summary>N, the number of processes.</summary>
    int Ranks { get; }

    /// <summary>The communication library with its version; null for a single process.</summary>
    string? Backend => null;

    /// <summary>What this rank is doing; reported by another rank when this one falls silent.</summary>
    string CurrentOperation { get; set; }

    /// <summary>
    /// Adds up the buffers of all ranks. Once done, this rank's slice holds the sum; the other slices are undefined. Buffers of equal
    /// length are always added up in the same order.
    /// </summary>
    /// <param name="buffer">Contiguous, fp32 or fp64, with a length that N divides.</param>
    CollectiveWork ReduceScatter(Tensor buffer);

    /// <summary>Gathers the slices of all ranks. Once done, the buffer is the same on every rank, bit for bit.</summary>
    /// <param name="buffer">Contiguous, with a length that N divides.</param>
    CollectiveWork AllGather(Tensor buffer);

    /// <summary>Copies the tensor of one rank to all others; synchronous.</summary>
    /// <param name="tensor">Contiguous, of the same shape on every rank.</param>
    /// <param name="root">The rank that has it.</param>
    void Broadcast(Tensor tensor, int root);

    /// <summary>Ends the processes of all ranks at once.</summary>
    /// <param name="code">The exit code.</param>
    void Abort(int code);

    /// <summary>
    /// Adds up the buffers of all ranks; once done, each has the whole sum. By definition a reduce-scatter followed by an all-gather.
    /// </summary>
    /// <param name="buffer">Contiguous, fp32 or fp64, with a length that N divides.</param>
    CollectiveWork AllReduce(Tensor buffer)
    {
        _ = ReduceScatter(buffer);
        return AllGather(buffer);    // runs second, and fails if the first did
    }
}
