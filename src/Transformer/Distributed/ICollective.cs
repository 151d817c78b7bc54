using static TorchSharp.torch;

namespace Transformer.Distributed;

// N ranks, numbered from 0

/// <summary>
/// What the processes of one training run do together. Every rank starts the same operations in the same order; they are carried out in
/// that order, beside whatever the caller goes on with, once what was computed before them is there. A buffer has N slices of one length,
/// of which slice r is rank r's, and is left alone until its transfer was waited for. Tensors of the processor's memory can always be
/// carried; those of a device where the ranks have been connected for it.
/// </summary>
public interface ICollective : IDisposable
{
    /// <summary>Which of the processes this is, from 0.</summary>
    int Rank { get; }

    /// <summary>N, how many there are.</summary>
    int Ranks { get; }

    /// <summary>The library that carries bytes between the ranks, with its version; null where nothing does.</summary>
    string? Backend => null;

    /// <summary>What this rank is about, for whoever must tell that it is no longer heard of.</summary>
    string CurrentOperation { get; set; }

    /// <summary>
    /// Adds up the buffers of all ranks. Once done, this rank's slice is the sum; the other slices are of no use. Buffers of one length are
    /// always added up in the same order.
    /// </summary>
    /// <param name="buffer">Contiguous, fp32 or fp64, with a length that N divides.</param>
    CollectiveWork ReduceScatter(Tensor buffer);

    /// <summary>Brings together the slices of all ranks. Once done, the buffer is the same on every rank, bit for bit.</summary>
    /// <param name="buffer">Contiguous, with a length that N divides.</param>
    CollectiveWork AllGather(Tensor buffer);

    /// <summary>Gives every rank the tensor of one of them; it needs no waiting for.</summary>
    /// <param name="tensor">Contiguous, alike in shape on every rank.</param>
    /// <param name="root">Whose it is.</param>
    void Broadcast(Tensor tensor, int root);

    /// <summary>Ends the processes of all ranks at once.</summary>
    /// <param name="code">The exit code.</param>
    void Abort(int code);

    /// <summary>
    /// Adds up the buffers of all ranks: once done, each has the whole sum. By definition a reduce-scatter followed by an all-gather.
    /// </summary>
    /// <param name="buffer">Contiguous, fp32 or fp64, with a length that N divides.</param>
    CollectiveWork AllReduce(Tensor buffer)
    {
        _ = ReduceScatter(buffer);
        return AllGather(buffer);    // which comes second, and fails if the first did
    }
}
