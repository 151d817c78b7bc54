using System.Runtime.InteropServices;
using Transformer.Configuration;

namespace Transformer.Native;

/// <summary>
/// CUDA's streams and events, for work on a device beside libtorch's: a stream carries out what it is given one after the other, and an
/// event is a place in it for which another stream can be made to wait, while the thread that says so goes on. Both are handles of the
/// runtime that libtorch has brought along.
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

    /// <summary>Those of the libtorch in use.</summary>
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
    /// Makes a device the one of this thread, to which its new streams and events, and the default stream, belong. Backward passes run on
    /// threads of libtorch's.
    /// </summary>
    public void Use(int device) => Check(setDevice(device));

    /// <summary>
    /// The stream to which libtorch gives the work of this thread: the default one unless something said otherwise, and in a backward pass
    /// that of the forward pass.
    /// </summary>
    public nint Current(int device)
    {
        nint stream;
        return current(device, &stream) == 0 ? stream
            : throw new InvalidOperationException($"libtorch does not tell the stream of device {device}");
    }

    /// <summary>A stream that does not wait for the default one.</summary>
    public nint NewStream()
    {
        nint stream;
        Check(createStream(&stream, NonBlocking));
        return stream;
    }

    /// <summary>An event that only orders, and takes no time.</summary>
    public nint NewEvent()
    {
        nint place;
        Check(createEvent(&place, DisableTiming));
        return place;
    }

    /// <summary>The event is where the stream is now; whoever waits for where it was before is not disturbed.</summary>
    public void Record(nint place, nint stream) => Check(record(place, stream));

    /// <summary>What the stream is given from now on waits until another has come to the event.</summary>
    public void Wait(nint stream, nint place) => Check(wait(stream, place, 0));

    /// <summary>This thread waits until a stream has done all that it was given.</summary>
    public void Finish(nint stream) => Check(synchronize(stream));

    /// <summary>Gives a stream back.</summary>
    public void FreeStream(nint stream) => Check(destroyStream(stream));

    /// <summary>Gives an event back.</summary>
    public void FreeEvent(nint place) => Check(destroyEvent(place));

    private void Check(int code)
    {
        if (code != 0) throw new InvalidOperationException($"CUDA: {Marshal.PtrToStringUTF8((nint)describe(code))} (error {code})");
    }
}
