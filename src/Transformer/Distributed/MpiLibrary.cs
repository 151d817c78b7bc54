using System.Runtime.InteropServices;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Distributed;

/// <summary>
/// The few functions of MPI that are used, loaded at run time. Handles differ: in Open MPI they are addresses of exported symbols, in MPICH
/// and its relatives (Intel MPI, Cray MPICH, MVAPICH) integers. Both are passed in a register, so that one signature serves both. Only the
/// thread that called <see cref="Initialize"/> may call the others.
/// </summary>
internal sealed unsafe class MpiLibrary
{
    private const int ThreadFunneled = 1, LongestVersion = 8192;    // MPICH's MPI_MAX_LIBRARY_VERSION_STRING; Open MPI's is less
    private const nint MpichWorld = 0x44000000, MpichByte = 0x4c00010d, MpichIgnore = 1;

    // Open MPI 2 to 5; MPICH's common interface, and Debian's name for it.
    private static readonly string[] OpenMpi = ["libmpi.so.40"], Mpich = ["libmpi.so.12", "libmpich.so.12"];

    private readonly nint world, bytes, ignore;
    private readonly delegate* unmanaged<int*, byte***, int, int*, int> initialize;
    private readonly delegate* unmanaged<nint, int*, int> rank, size;
    private readonly delegate* unmanaged<void*, int, nint, int, int, nint, nint*, int> send, receive;
    private readonly delegate* unmanaged<nint*, int*, nint, int> test;
    private readonly delegate* unmanaged<byte*, int*, int> version;
    private readonly delegate* unmanaged<nint, int, int> abort;
    private readonly delegate* unmanaged<int> finalize;

    private MpiLibrary(nint library, bool isOpenMpi)
    {
        (world, bytes, ignore) = isOpenMpi
            ? (NativeLibrary.GetExport(library, "ompi_mpi_comm_world"), NativeLibrary.GetExport(library, "ompi_mpi_byte"), 0)
            : (MpichWorld, MpichByte, MpichIgnore);
        initialize = (delegate* unmanaged<int*, byte***, int, int*, int>)NativeLibrary.GetExport(library, "MPI_Init_thread");
        rank = (delegate* unmanaged<nint, int*, int>)NativeLibrary.GetExport(library, "MPI_Comm_rank");
        size = (delegate* unmanaged<nint, int*, int>)NativeLibrary.GetExport(library, "MPI_Comm_size");
        send = (delegate* unmanaged<void*, int, nint, int, int, nint, nint*, int>)NativeLibrary.GetExport(library, "MPI_Isend");
        receive = (delegate* unmanaged<void*, int, nint, int, int, nint, nint*, int>)NativeLibrary.GetExport(library, "MPI_Irecv");
        test = (delegate* unmanaged<nint*, int*, nint, int>)NativeLibrary.GetExport(library, "MPI_Test");
        version = (delegate* unmanaged<byte*, int*, int>)NativeLibrary.GetExport(library, "MPI_Get_library_version");
        abort = (delegate* unmanaged<nint, int, int>)NativeLibrary.GetExport(library, "MPI_Abort");
        finalize = (delegate* unmanaged<int>)NativeLibrary.GetExport(library, "MPI_Finalize");
    }

    /// <summary>Loads the library of the launcher: another one would not see its ranks.</summary>
    /// <param name="isOpenMpi">Whether the launcher is Open MPI's; null where that is not known: then the first library found is
    /// taken.</param>
    /// <exception cref="InputException">There is none.</exception>
    public static MpiLibrary Load(bool? isOpenMpi)
    {
        foreach (var (names, isOpen) in new[] { (OpenMpi, true), (Mpich, false) })
        {
            if (isOpenMpi == !isOpen) continue;
            foreach (var name in names)
                if (NativeLibrary.TryLoad(name, out var library)) return new MpiLibrary(library, isOpen);
        }
        var wanted = isOpenMpi switch { true => OpenMpi, false => Mpich, null => [.. OpenMpi, .. Mpich] };
        throw new InputException(
            $"this process was started as one of several ranks, but {string.Join(" or ", wanted)} is not there.\n" +
            "  Install the MPI of the launcher (openmpi-bin or mpich on Debian), or name its folder in LD_LIBRARY_PATH.");
    }

    /// <summary>Joins the other ranks.</summary>
    /// <returns>Which rank this is, and how many there are.</returns>
    public (int Rank, int Ranks) Initialize()
    {
        int provided, r, n;
        Check(initialize(null, null, ThreadFunneled, &provided));
        Check(rank(world, &r));
        Check(size(world, &n));
        return (r, n);
    }

    /// <summary>The name and version, such as Open MPI v4.1.4.</summary>
    public string Version()
    {
        var text = stackalloc byte[LongestVersion];
        int length;
        Check(version(text, &length));
        // Only the first line; Open MPI's text goes on with build details.
        return Encoding.UTF8.GetString(text, length).Split('\n', ',', '\0')[0].Replace('\t', ' ').Trim();
    }

    /// <summary>Starts to send; the bytes must not move until it is done.</summary>
    public nint Send(void* from, int length, int to, int tag)
    {
        nint request = 0;
        Check(send(from, length, bytes, to, tag, world, &request));
        return request;
    }

    /// <summary>Starts to receive.</summary>
    public nint Receive(void* into, int length, int from, int tag)
    {
        nint request = 0;
        Check(receive(into, length, bytes, from, tag, world, &request));
        return request;
    }

    /// <summary>Tests whether a send or receive is done, and lets MPI make progress.</summary>
    public bool IsDone(ref nint request)
    {
        int done;
        fixed (nint* handle = &request) Check(test(handle, &done, ignore));
        return done != 0;
    }

    /// <summary>Ends all ranks.</summary>
    public void Abort(int code) => _ = abort(world, code);

    /// <summary>Finalizes MPI; returns when all ranks do.</summary>
    public void Finish() => Check(finalize());

    // By default MPI itself ends the job on an error, with a message.
    private static void Check(int code)
    {
        if (code != 0) throw new InvalidOperationException($"MPI failed with code {code}");
    }
}
