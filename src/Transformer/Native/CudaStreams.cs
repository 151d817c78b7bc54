using System.Runtime.InteropServices;
using Transformer.Configuration;

namespace Transformer.Native;

/// <summary>
/// CUDA's streams and events, for work on a device beside libtorch's: a stream runs its work in order, and an event marks a point in it for
/// which another stream can wait without blocking the thread. Both are handles of the CUDA runtime that libtorch loaded.
/// </summary>
internal sealed unsafe class CudaStreams
{
    private const uint NonBlocking = 1, DisableTiming = 2;    // cudaStreamNonBlocking and cudaEventDisableTiming of driver_types.h

    private static readonly string[] Runtimes = ["libcudart.so.12", "libcudart.so.13"];

    private readonly delegate* unmanaged<int, nint*, int> current;
    private readonly delegate* unmanaged<int, int> setDevice;
    private readonly delegate* unmanaged<nint*, uint, int> createStream, createEvent;
    private readonly delegate* unmanaged<nint, int> destroyStream, destroyEvent, synchronize;
    private readonly delegate* unmanaged<nint, nint, int> record;
    private readonly delegate* unmanaged<nint, nint, uint, int> wait;
    private readonly delegate* unmanaged<int, byte*> describe;

    /// <param name="function">The address of a function by its name.</param>
    public CudaStreams(Func<string, nint> function)
    {
        current = (delegate* unmanaged<int, nint*, int>)function("aoti_torch_get_current_cuda_stream");
        setDevice = (delegate* unmanaged<int, int>)function("cudaSetDevice");
        createStream = (delegate* unmanaged<nint*, uint, int>)function("cudaStreamCreateWithFlags");
        createEvent = (delegate* unmanaged<nint*, uint, int>)function("cudaEventCreateWithFlags");
        destroyStream = (delegate* unmanaged<nint, int>)function("cudaStreamDestroy");
        destroyEvent = (delegate* unmanaged<nint, int>)function("cudaEventDestroy");
        synchronize = (delegate* unmanaged<nint, int>)function("cudaStreamSynchronize");
        record = (delegate* unmanaged<nint, nint, int>)function("cudaEventRecord");
        wait = (delegate* unmanaged<nint, nint, uint, int>)function("cudaStreamWaitEvent");
        describe = (delegate* unmanaged<int, byte*>)function("cudaGetErrorString");
    }

    /// <summary>The functions of the libtorch in use.</summary>
    /// <exception cref="InputException">It has no CUDA.</exception>
    public static CudaStreams Load() => new(name =>
    {
        if (LibTorch.CudaFunction(name) is not 0 and var function) return function;
        foreach (var runtime in Runtimes)
            if (NativeLibrary.TryLoad(runtime, out var library) && NativeLibrary.TryGetExport(library, name, out function)) return function;
        throw new InputException($"neither the libtorch in {LibTorch.Folder ?? "use"} nor {string.Join(" or ", Runtimes)} has {name}. " +
            "Expected a libtorch with CUDA; docs/gpu.md says how to give it one.");
    });

    /// <summary>
    /// Sets the device of this thread, to which its new streams and events, and the default stream, belong. Backward passes run on
    /// libtorch's threads.
    /// </summary>
    public void Use(int device) => Check(setDevice(device));

    /// <summary>
    /// The stream on which libtorch queues the work of this thread: the default one unless it was changed; in a backward pass that of the
    /// forward pass.
    /// </summary>
    public nint Current(int device)
    {
        nint stream;
        return current(device, &stream) == 0 ? stream
            : throw new InvalidOperationException($"libtorch does not report the stream of device {device}");
    }

    /// <summary>A stream that does not wait for the default one.</summary>
    public nint NewStream()
    {
        nint stream;
        Check(createStream(&stream, NonBlocking));
        return stream;
    }

    /// <summary>An event without timing.</summary>
    public nint NewEvent()
    {
        nint handle;
        Check(createEvent(&handle, DisableTiming));
        return handle;
    }

    /// <summary>Records the stream's current point in the event; waits for an earlier point are not affected.</summary>
    public void Record(nint handle, nint stream) => Check(record(handle, stream));

    /// <summary>Work queued on the stream from now on waits for the event.</summary>
    public void Wait(nint stream, nint handle) => Check(wait(stream, handle, 0));

    /// <summary>Blocks this thread until a stream has done all its work.</summary>
    public void Finish(nint stream) => Check(synchronize(stream));

    /// <summary>Frees a stream.</summary>
    public void FreeStream(nint stream) => Check(destroyStream(stream));

    /// <summary>Frees an event.</summary>
    public void FreeEvent(nint handle) => Check(destroyEvent(handle));

    private void Check(int code)
    {
        if (code != 0) throw new InvalidOperationException($"CUDA: {Marshal.PtrToStringUTF8((nint)describe(code))} (error {code})");
    }
}
