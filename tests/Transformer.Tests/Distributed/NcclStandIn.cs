using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Transformer.Distributed;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>
/// A stand-in for NCCL and CUDA's runtime as their headers describe them, for ranks that are threads and "devices" that are the CPU.
/// Computations are done at once; another stream's work is done only when the computing stream waits for it, so that a forgotten wait
/// shows. Calls are recorded in order, per thread.
/// </summary>
internal static unsafe class NcclStandIn
{
    public const int Remote = 6;    // ncclRemoteError

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly ConcurrentDictionary<long, World> Worlds = [];
    private static readonly ConcurrentDictionary<nint, object> Handles = [];
    private static readonly nint LastWord = Marshal.StringToCoTaskMemUTF8("the last word"),
        General = Marshal.StringToCoTaskMemUTF8("a general word");
    private static long names, handles;

    [ThreadStatic] private static List<string>? calls;
    [ThreadStatic] private static int streams, events;

    /// <summary>The calls of this thread.</summary>
    public static List<string> Calls => calls ??= [];

    /// <summary>The last communicator that this thread joined.</summary>
    [field: ThreadStatic]
    public static Communicator? Joined { get; private set; }

    /// <summary>The result of this thread's next collective operation, where it is an error.</summary>
    [field: ThreadStatic]
    public static int NextResult { get; set; }

    public static NcclLibrary Library { get; } = new(name => (nint)(name switch
    {
        "ncclGetVersion" => (void*)(delegate* unmanaged[Cdecl]<int*, int>)&GetVersion,
        "ncclGetUniqueId" => (delegate* unmanaged[Cdecl]<NcclLibrary.UniqueId*, int>)&GetUniqueId,
        "ncclCommInitRank" => (delegate* unmanaged[Cdecl]<nint*, int, NcclLibrary.UniqueId, int, int>)&InitRank,
        "ncclReduceScatter" => (delegate* unmanaged[Cdecl]<byte*, byte*, nuint, int, int, nint, nint, int>)&ReduceScatter,
        "ncclAllGather" => (delegate* unmanaged[Cdecl]<byte*, byte*, nuint, int, nint, nint, int>)&AllGather,
        "ncclBroadcast" => (delegate* unmanaged[Cdecl]<byte*, byte*, nuint, int, int, nint, nint, int>)&Broadcast,
        "ncclCommGetAsyncError" => (delegate* unmanaged[Cdecl]<nint, int*, int>)&GetAsyncError,
        "ncclCommAbort" => (delegate* unmanaged[Cdecl]<nint, int>)&Abort,
        "ncclCommDestroy" => (delegate* unmanaged[Cdecl]<nint, int>)&Destroy,
        "ncclGetErrorString" => (delegate* unmanaged[Cdecl]<int, nint>)&Describe,
        "ncclGetLastError" => (delegate* unmanaged[Cdecl]<nint, nint>)&GetLastError,
        _ => throw new EntryPointNotFoundException(name),
    }));

    public static CudaStreams Streams { get; } = new(name => (nint)(name switch
    {
        "aoti_torch_get_current_cuda_stream" => (void*)(delegate* unmanaged[Cdecl]<int, nint*, int>)&CurrentStream,
        "cudaSetDevice" => (delegate* unmanaged[Cdecl]<int, int>)&SetDevice,
        "cudaStreamCreateWithFlags" => (delegate* unmanaged[Cdecl]<nint*, uint, int>)&CreateStream,
        "cudaEventCreateWithFlags" => (delegate* unmanaged[Cdecl]<nint*, uint, int>)&CreateEvent,
        "cudaStreamDestroy" or "cudaEventDestroy" => (delegate* unmanaged[Cdecl]<nint, int>)&Free,
        "cudaStreamSynchronize" => (delegate* unmanaged[Cdecl]<nint, int>)&Synchronize,
        "cudaEventRecord" => (delegate* unmanaged[Cdecl]<nint, nint, int>)&Record,
        "cudaStreamWaitEvent" => (delegate* unmanaged[Cdecl]<nint, nint, uint, int>)&WaitEvent,
        "cudaGetErrorString" => (delegate* unmanaged[Cdecl]<int, nint>)&Describe,
        _ => throw new EntryPointNotFoundException(name),
    }));

    /// <summary>Runs an action on several ranks connected by NCCL.</summary>
    public static void Run(int ranks, Action<ICollective> act) => Threads.Run(ranks, host =>
    {
        using var rank = On(host);
        act(rank);
    });

    public static Nccl On(ICollective host, Device? device = null, TextWriter? error = null) =>
        new(host, device ?? CPU, Library, Streams, error ?? TextWriter.Null);

    public sealed class Communicator(World world, int rank)
    {
        public World World => world;

        public int Rank => rank;

        /// <summary>The result of polling for asynchronous errors.</summary>
        public volatile int AsynchronousError;

        /// <summary>What aborting waits for.</summary>
        public WaitHandle? Abortable { get; set; }

        public bool IsAborted { get; set; }

        public bool IsDestroyed { get; set; }
    }

    public sealed class World(int ranks)
    {
        public byte*[] Buffers { get; } = new byte*[ranks];

        public Barrier Barrier { get; } = new(ranks);

        public void Meet()
        {
            if (!Barrier.SignalAndWait(Patience)) throw new TimeoutException("a rank did not come");
        }
    }

    private sealed class Stream(string name)
    {
        private readonly Queue<Action> waiting = [];
        private long done;

        public string Name => name;

        public long Given { get; private set; }

        public void Give(Action work)
        {
            Given++;
            waiting.Enqueue(work);
        }

        public void RunTo(long place)
        {
            for (; done < place; done++) waiting.Dequeue()();
        }
    }

    private sealed class Event(string name)
    {
        public string Name => name;

        public Stream? On { get; set; }

        public long Place { get; set; }
    }

    private static nint Keep(object what)
    {
        var handle = (nint)Interlocked.Increment(ref handles);
        Handles[handle] = what;
        return handle;
    }

    private static Stream? StreamOf(nint stream) => stream == 0 ? null : (Stream)Handles[stream];    // 0 is the default one

    private static string NameOf(nint stream) => StreamOf(stream)?.Name ?? "the default stream";

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetVersion(int* version)
    {
        *version = 22705;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetUniqueId(NcclLibrary.UniqueId* id)
    {
        var name = Interlocked.Increment(ref names);
        for (var place = 0; place < 128 / sizeof(long); place++) ((long*)id)[place] = name;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int InitRank(nint* communicator, int ranks, NcclLibrary.UniqueId id, int rank)
    {
        var name = (long*)&id;
        if (name[0] == 0 || name[15] != name[0]) return 4;
        Joined = new Communicator(Worlds.GetOrAdd(name[0], _ => new World(ranks)), rank);
        *communicator = Keep(Joined);
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ReduceScatter(byte* from, byte* into, nuint count, int type, int operation, nint communicator, nint stream) =>
        operation != 0
        ? 4
        : Begin("reduce-scatter", communicator, stream, from, (world, rank) =>
        {
            if (type == 7) Sum<float>(world.Buffers, rank, (int)count, into, world.Meet);
            else if (type == 8) Sum<double>(world.Buffers, rank, (int)count, into, world.Meet);
            else throw new NotSupportedException();
        });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int AllGather(byte* from, byte* into, nuint count, int type, nint communicator, nint stream) => type != 1
        ? 4
        : Begin("all-gather", communicator, stream, from, (world, rank) =>
        {
            for (var other = 0; other < world.Buffers.Length; other++)
                if (other != rank) Copy(world.Buffers[other], into + other * (long)count, count);
            world.Meet();
        });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Broadcast(byte* from, byte* into, nuint count, int type, int root, nint communicator, nint stream) => type != 1
        ? 4
        : Begin("broadcast", communicator, stream, from, (world, rank) =>
        {
            if (rank != root) Copy(world.Buffers[root], into, count);
            world.Meet();
        });

    private static int Begin(string name, nint communicator, nint stream, byte* buffer, Action<World, int> act)
    {
        if (NextResult != 0) return NextResult;
        var joined = (Communicator)Handles[communicator];
        Calls.Add($"{name} on {NameOf(stream)}");
        StreamOf(stream)!.Give(() =>
        {
            joined.World.Buffers[joined.Rank] = buffer;
            joined.World.Meet();
            act(joined.World, joined.Rank);
        });
        return 0;
    }

    // Added up in the order r + 1, r + 2, .., r, as in Ring and Threads.
    private static void Sum<T>(byte*[] buffers, int rank, int count, byte* into, Action meet) where T : unmanaged,
        System.Numerics.INumber<T>
    {
        var sum = new T[count];
        for (var next = 1; next <= buffers.Length; next++)
        {
            var slice = (T*)buffers[(rank + next) % buffers.Length] + (long)rank * count;
            for (var i = 0; i < count; i++) sum[i] = next == 1 ? slice[i] : sum[i] + slice[i];
        }
        meet();
        sum.CopyTo(new Span<T>(into, count));
    }

    private static void Copy(byte* from, byte* into, nuint count) => NativeMemory.Copy(from, into, count);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetAsyncError(nint communicator, int* code)
    {
        *code = ((Communicator)Handles[communicator]).AsynchronousError;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Abort(nint communicator)
    {
        var joined = (Communicator)Handles[communicator];
        joined.Abortable?.WaitOne();
        joined.IsAborted = true;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Destroy(nint communicator)
    {
        ((Communicator)Handles[communicator]).IsDestroyed = true;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint Describe(int code) => General;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint GetLastError(nint communicator) => LastWord;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CurrentStream(int device, nint* stream)
    {
        *stream = 0;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int SetDevice(int device) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CreateStream(nint* stream, uint flags)
    {
        *stream = Keep(new Stream($"stream {++streams}"));
        return flags == 1 ? 0 : 1;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CreateEvent(nint* place, uint flags)
    {
        *place = Keep(new Event($"event {++events}"));
        return flags == 2 ? 0 : 1;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Free(nint handle) => Handles.TryRemove(handle, out _) ? 0 : 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Synchronize(nint stream)
    {
        Calls.Add($"this thread waits for {NameOf(stream)}");
        return StreamOf(stream) is { } beside ? Ran(beside, beside.Given) : 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Record(nint place, nint stream)
    {
        var recorded = (Event)Handles[place];
        Calls.Add($"{recorded.Name} is where {NameOf(stream)} is");
        (recorded.On, recorded.Place) = (StreamOf(stream), StreamOf(stream)?.Given ?? 0);
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int WaitEvent(nint stream, nint place, uint flags)
    {
        var recorded = (Event)Handles[place];
        Calls.Add($"{NameOf(stream)} waits for {recorded.Name}");
        var (on, to) = (recorded.On, recorded.Place);
        if (flags != 0) return 1;
        if (StreamOf(stream) is not { } beside) return on is null ? 0 : Ran(on, to);
        beside.Give(() => on?.RunTo(to));
        return 0;
    }

    // No exception may cross into the caller, which expects C.
    private static int Ran(Stream stream, long place)
    {
        try
        {
            stream.RunTo(place);
            return 0;
        }
        catch (Exception e)
        {
            Calls.Add(e.Message);
            return 1;
        }
    }
}
