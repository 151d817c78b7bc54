using System.Numerics;
using System.Runtime.InteropServices;

namespace Transformer.Distributed;

// N ranks in a ring: each sends to the next one and receives from the one before

/// <summary>
/// Ring collectives (Patarasuk and Yuan 2009): every rank sends and receives (N - 1) / N of the buffer, which is the minimum. Slice r is
/// added up in the order r + 1, r + 2, .., r, so that the sum does not depend on how buffers are split.
/// </summary>
internal sealed unsafe partial class Ring(MpiLibrary mpi, int rank, int ranks, Action listen) : IDisposable
{
    private const int Tag = 0, MostBytes = 1 << 30, Spins = 200, SleepMicroseconds = 50;

    private readonly int before = (rank - 1 + ranks) % ranks, after = (rank + 1) % ranks;
    private byte* received;
    private nuint receivedBytes;

    /// <summary>Adds up the slices; this rank's becomes the sum, the others hold partial sums.</summary>
    public void ReduceScatter<T>(byte* slices, long sliceBytes) where T : unmanaged, INumber<T>
    {
        if ((nuint)sliceBytes > receivedBytes) received = (byte*)NativeMemory.Realloc(received, receivedBytes = (nuint)sliceBytes);
        for (var step = 1; step < ranks; step++)
        {
            var handedOn = slices + Wrap(rank - step) * sliceBytes;
            var taken = slices + Wrap(rank - step - 1) * sliceBytes;
            Exchange(handedOn, received, sliceBytes);
            Add((T*)received, (T*)taken, sliceBytes / sizeof(T));
        }
    }

    /// <summary>Copies every rank's slice to every rank.</summary>
    public void AllGather(byte* slices, long sliceBytes)
    {
        for (var step = 0; step < ranks - 1; step++)
            Exchange(slices + Wrap(rank - step) * sliceBytes, slices + Wrap(rank - step - 1) * sliceBytes, sliceBytes);
    }

    /// <summary>Copies the bytes of one rank to every rank, each passing them on.</summary>
    public void Broadcast(byte* bytes, long length, int root)
    {
        for (var done = 0L; done < length; done += MostBytes)
        {
            var part = (int)Math.Min(MostBytes, length - done);
            if (rank != root) Complete(mpi.Receive(bytes + done, part, before, Tag));
            if (after != root) Complete(mpi.Send(bytes + done, part, after, Tag));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.Free(received);

    private int Wrap(int slice) => (slice % ranks + ranks) % ranks;

    private void Exchange(byte* give, byte* take, long length)
    {
        for (var done = 0L; done < length; done += MostBytes)
        {
            var part = (int)Math.Min(MostBytes, length - done);
            var receiving = mpi.Receive(take + done, part, before, Tag);
            var sending = mpi.Send(give + done, part, after, Tag);
            Complete(receiving);
            Complete(sending);
        }
    }

    // Spins briefly, then sleeps between polls: the cores are needed for the computation.
    private void Complete(nint request)
    {
        for (var looks = 0; !mpi.IsDone(ref request); looks++)
        {
            if (looks < Spins) continue;
            listen();
            _ = usleep(SleepMicroseconds);
        }
    }

    private static void Add<T>(T* from, T* into, long count) where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i + Vector<T>.Count <= count; i += Vector<T>.Count) (Vector.Load(into + i) + Vector.Load(from + i)).Store(into + i);
        for (; i < count; i++) into[i] += from[i];
    }

    [LibraryImport("libc")]
    private static partial int usleep(uint microseconds);
}
