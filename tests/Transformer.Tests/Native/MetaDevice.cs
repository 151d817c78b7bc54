using System.Runtime.InteropServices;
using TorchSharp;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Native;

/// <summary>
/// libtorch's meta device: its tensors have a shape and a type but no numbers, so that reading their memory or a number fails, as a CPU
/// kernel would on a GPU. Some operators have their meta kernels in Python; here they get kernels that compute on zeros in CPU memory.
/// </summary>
internal static unsafe class MetaDevice
{
    private const ulong Version = 0x020a000000000000;

    // Name, its tensors among its arguments, and how many it returns.
    private static readonly (string Name, string Overload, int[] Tensors, int Results)[] Missing =
    [
        ("abs", "", [0], 1),
        ("embedding_dense_backward", "", [0, 1], 1),
        ("flip", "", [0], 1),
        ("index_select", "", [0, 2], 1),
        ("linalg_solve_triangular", "", [0, 1], 1),
        ("log_sigmoid_backward", "", [0, 1, 2], 1),
        ("log_sigmoid_forward", "", [0], 2),
        ("logical_and", "out", [0, 1, 2], 1),
        ("logical_not", "out", [0, 1], 1),
        ("relu", "", [0], 1),
        ("roll", "", [0], 1),
        ("where", "self", [0, 1, 2], 1),
        ("where", "self_out", [0, 1, 2, 3], 1),
    ];

    private static readonly nint Library = NativeLibrary.Load(Path.Combine(LibTorch.Folder!, "libtorch_cpu.so"));
    private static readonly delegate* unmanaged<byte*, byte*, ulong*, ulong, int> Call =
        (delegate* unmanaged<byte*, byte*, ulong*, ulong, int>)NativeLibrary.GetExport(Library, "torch_call_dispatcher");
    private static readonly delegate* unmanaged<nint, nint*, int> NewHandle =
        (delegate* unmanaged<nint, nint*, int>)NativeLibrary.GetExport(Library, "aoti_torch_new_tensor_handle");
    private static readonly List<Kernel> Kernels = Register();    // libtorch keeps their addresses for the life of the process

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void Kernel(ulong* stack, ulong arguments, ulong results);

    public static Device Device { get; } = Kernels.Count > 0 ? new Device(DeviceType.META) : CPU;

    private static List<Kernel> Register()
    {
        var begin = (delegate* unmanaged<byte*, byte*, byte*, uint, nint*, int>)NativeLibrary.GetExport(
            Library, "aoti_torch_library_init_impl");
        var add = (delegate* unmanaged<nint, byte*, nint, int>)NativeLibrary.GetExport(Library, "aoti_torch_library_impl");
        nint library;
        fixed (byte* space = "aten\0"u8, key = "Meta\0"u8, file = "MetaDevice\0"u8) Assert.Equal(0, begin(space, key, file, 1, &library));
        var kernels = new List<Kernel>();
        foreach (var (name, overload, tensors, results) in Missing)
        {
            Kernel kernel = (stack, arguments, _) => OnZeros(name, overload, tensors, results, stack, (int)arguments);
            fixed (byte* full = Bytes(overload.Length == 0 ? name : $"{name}.{overload}"))
                Assert.Equal(0, add(library, full, Marshal.GetFunctionPointerForDelegate(kernel)));
            kernels.Add(kernel);
        }
        return kernels;
    }

    private static void OnZeros(string name, string overload, int[] tensors, int results, ulong* stack, int arguments)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var here = stackalloc ulong[Math.Max(arguments, results)];
        Tensor? last = null;
        for (var i = 0; i < arguments; i++)
        {
            if (!tensors.Contains(i))
            {
                here[i] = stack[i];
                continue;
            }
            last = Tensor.UnsafeCreateTensor((nint)stack[i]);
            here[i] = Handle(zeros(last.shape, last.dtype));
        }
        fixed (byte* n = Bytes($"aten::{name}"), o = Bytes(overload))
            if (Call(n, o, here, Version) != 0) throw new InvalidOperationException(name);
        if (overload.EndsWith("out", StringComparison.Ordinal))
        {
            stack[0] = Handle(last!.set_(Tensor.UnsafeCreateTensor((nint)here[0]).to(Device)));
            return;
        }
        for (var i = 0; i < results; i++) stack[i] = Handle(Tensor.UnsafeCreateTensor((nint)here[i]).to(Device));
    }

    private static ulong Handle(Tensor tensor)
    {
        nint handle;
        Assert.Equal(0, NewHandle(tensor.Handle, &handle));
        return (ulong)handle;
    }

    private static byte[] Bytes(string text) => System.Text.Encoding.ASCII.GetBytes(text + '\0');
}
