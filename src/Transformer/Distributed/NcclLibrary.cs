using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Native;

namespace Transformer.Distributed;

// N ranks

/// <summary>
/// The few functions of NCCL that are used, by its C interface (nccl.h, 2.13 and later), loaded at run time: NVIDIA's collective operations
/// between GPUs. Each is queued on a stream; a communicator belongs to the device of the thread that joins.
/// </summary>
internal sealed unsafe class NcclLibrary
{
    private const int Byte = 1, Float32 = 7, Float64 = 8, Sum = 0;    // ncclUint8, ncclFloat32, ncclFloat64; ncclSum
    private const int InProgress = 7;                                 // ncclInProgress, which is no error
    private const string Name = "libnccl.so.2";

    private readonly delegate* unmanaged<int*, int> version;
    private readonly delegate* unmanaged<UniqueId*, int> newId;
    private readonly delegate* unmanaged<nint*, int, UniqueId, int, int> join;
    private readonly delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int> reduceScatter, broadcast;
    private readonly delegate* unmanaged<void*, void*, nuint, int, nint, nint, int> allGather;
    private readonly delegate* unmanaged<nint, int*, int> asynchronousError;
    private readonly delegate* unmanaged<nint, int> abort, destroy;
    private readonly delegate* unmanaged<int, byte*> describe;
    private readonly delegate* unmanaged<nint, byte*> lastError;

    /// <summary>The unique id of a communicator, made by rank 0. C passes it by value.</summary>
    public struct UniqueId
    {
        private fixed byte bytes[128];    // NCCL_UNIQUE_ID_BYTES
    }

    /// <param name="function">The address of a function by its name.</param>
    public NcclLibrary(Func<string, nint> function)
    {
        version = (delegate* unmanaged<int*, int>)function("ncclGetVersion");
        newId = (delegate* unmanaged<UniqueId*, int>)function("ncclGetUniqueId");
        join = (delegate* unmanaged<nint*, int, UniqueId, int, int>)function("ncclCommInitRank");
        reduceScatter = (delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int>)function("ncclReduceScatter");
        allGather = (delegate* unmanaged<void*, void*, nuint, int, nint, nint, int>)function("ncclAllGather");
        broadcast = (delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int>)function("ncclBroadcast");
        asynchronousError = (delegate* unmanaged<nint, int*, int>)function("ncclCommGetAsyncError");
        abort = (delegate* unmanaged<nint, int>)function("ncclCommAbort");
        destroy = (delegate* unmanaged<nint, int>)function("ncclCommDestroy");
        describe = (delegate* unmanaged<int, byte*>)function("ncclGetErrorString");
        lastError = (delegate* unmanaged<nint, byte*>)function("ncclGetLastError");
    }

    /// <summary>The NCCL inside libtorch, or the one beside it or on the system's path.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static NcclLibrary Load() => Load(LibTorch.CudaFunction, Candidates(LibTorch.Folder));

    /// <summary>The same with given candidates.</summary>
    /// <param name="own">The address of a function of libtorch's own NCCL; 0 where it has none.</param>
    /// <param name="candidates">Names and paths to try in order.</param>
    internal static NcclLibrary Load(Func<string, nint> own, IReadOnlyList<string> candidates)
    {
        if (own("ncclCommInitRank") != 0) return new(own);
        foreach (var place in candidates)
            if (NativeLibrary.TryLoad(place, out var library)) return new(name => NativeLibrary.GetExport(library, name));
        throw new InputException(
            $"ranks on GPUs need NCCL, but {string.Join(" or ", candidates)} was not found.\n" +
            "  It comes with PyTorch (pip's nvidia-nccl package) or as libnccl2 from NVIDIA; name its folder in LD_LIBRARY_PATH.");
    }

    /// <summary>
    /// The paths where NCCL may be found for a libtorch: its folder and, in a Python install, the package that pip puts beside torch.
    /// </summary>
    internal static IReadOnlyList<string> Candidates(string? libtorch) => libtorch is null
        ? [Name]
        : [Path.Combine(libtorch, Name), Path.GetFullPath(Path.Combine(libtorch, "..", "..", "nvidia", "nccl", "lib", Name)), Name];

    /// <summary>Such as 2.27.5.</summary>
    public string Version
    {
        get
        {
            int code;
            Check(version(&code), "reading its version");
            return $"{code / 10000}.{code / 100 % 100}.{code % 100}";
        }
    }

    /// <summary>A new communicator's id, to be sent to all ranks.</summary>
    public UniqueId NewId()
    {
        UniqueId id;
        Check(newId(&id), "naming a communicator");
        return id;
    }

    /// <summary>Joins the other ranks, on this thread's device; returns when all have.</summary>
    /// <param name="ranks">N.</param>
    /// <param name="id">The id that rank 0 made.</param>
    /// <param name="rank">The number of this rank.</param>
    /// <returns>The communicator.</returns>
    public nint Join(int ranks, UniqueId id, int rank)
    {
        nint communicator;
        Check(join(&communicator, ranks, id, rank), "joining the other ranks");
        return communicator;
    }

    /// <summary>Adds up the ranks' slices, in place: this rank's becomes the sum.</summary>
    public void ReduceScatter(nint slices, long slice, bool isDouble, int rank, nint communicator, nint stream)
    {
        var own = (byte*)slices + rank * slice * (isDouble ? sizeof(double) : sizeof(float));
        Check(
            reduceScatter((void*)slices, own, (nuint)slice, isDouble ? Float64 : Float32, Sum, communicator, stream),
            "adding up", communicator);
    }

    /// <summary>Copies every rank's slice to every rank, in place.</summary>
    public void AllGather(nint slices, long sliceBytes, int rank, nint communicator, nint stream) =>
        Check(
            allGather((byte*)slices + rank * sliceBytes, (void*)slices, (nuint)sliceBytes, Byte, communicator, stream),
            "bringing together", communicator);

    /// <summary>Copies the bytes of one rank to every rank, in place.</summary>
    public void Broadcast(nint bytes, long length, int root, nint communicator, nint stream) =>
        Check(broadcast((void*)bytes, (void*)bytes, (nuint)length, Byte, root, communicator, stream), "broadcasting", communicator);

    /// <summary>The error of an asynchronous operation; null where there is none.</summary>
    public string? AsynchronousError(nint communicator)
    {
        int code;
        var answer = asynchronousError(communicator, &code);
        if (answer == 0) answer = code;
        return answer is 0 or InProgress ? null : Describe(answer, communicator);
    }

    /// <summary>Ends a communicator whose operations may never end.</summary>
    public void Abort(nint communicator) => _ = abort(communicator);

    /// <summary>Frees a communicator whose operations are all done.</summary>
    public void Destroy(nint communicator) => Check(destroy(communicator), "taking leave", communicator);

    private void Check(int code, string operation, nint communicator = 0)
    {
        if (code is not (0 or InProgress)) throw new InvalidOperationException($"NCCL, {operation}: {Describe(code, communicator)}");
    }

    private string Describe(int code, nint communicator)
    {
        var (general, last) = (Marshal.PtrToStringUTF8((nint)describe(code)), Marshal.PtrToStringUTF8((nint)lastError(communicator)));
        return string.IsNullOrWhiteSpace(last) ? $"{general} (error {code})" : $"{general} (error {code}): {last.Trim()}";
    }
}
