using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// Operators of libtorch that TorchSharp does not bind, by libtorch's stable C interface, with autograd. This is the only file with such
/// calls. A failed call returns only a code, so arguments are checked here first.
/// </summary>
public static unsafe partial class Aten
{
    private const string Library = LibTorch.CpuLibrary;
    private const ulong Version = 0x020a000000000000;    // the interface as of libtorch 2.10.0

    /// <summary>
    /// softmax(scale q k^T + mask) v (Vaswani et al. 2017) by libtorch's fused kernel, which never holds the T x S scores.
    /// </summary>
    /// <param name="query">[B, H, T, D]</param>
    /// <param name="key">[B, G, S, D]; G divides H.</param>
    /// <param name="value">[B, G, S, D]</param>
    /// <param name="mask">Broadcastable to [B, H, T, S]: boolean (true is visible) or added to the scores; null for none.</param>
    /// <param name="dropout">The probability with which weights are dropped.</param>
    /// <param name="causal">Whether query t sees keys 0..t only; aligned at the first key, and not together with a mask.</param>
    /// <param name="scale">What q k^T is multiplied by; 1 / sqrt(D) where null.</param>
    /// <returns>[B, H, T, D]</returns>
    public static Tensor ScaledDotProductAttention(
        Tensor query, Tensor key, Tensor value, Tensor? mask = null, double dropout = 0, bool causal = false, double? scale = null)
    {
        if (query.dim() != 4 || key.dim() != 4 || value.dim() != 4)
            throw new ArgumentException("query, key and value must have four dimensions");
        if (query.shape[1] % key.shape[1] != 0)
            throw new ArgumentException($"{key.shape[1]} key heads do not divide {query.shape[1]} query heads");
        var keysFit = query.shape[0] == key.shape[0] && query.shape[3] == key.shape[3];
        if (!keysFit || !key.shape.AsSpan(0, 3).SequenceEqual(value.shape.AsSpan(0, 3)))
            throw new ArgumentException("query, key and value do not fit each other");
        if (causal && mask is not null) throw new ArgumentException("a causal call takes no mask");

        // Only one of CUDA's fused kernels takes fp32 or a mask, and it has no grouped-query attention: with fewer key/value heads libtorch
        // would fall back to T x S scores.
        var repeats = query.shape[1] / key.shape[1];
        var repeated = repeats > 1 && query.device_type != DeviceType.CPU && (mask is not null || query.dtype == ScalarType.Float32);
        using var ownKey = repeated ? key.repeat_interleave(repeats, dim: 1) : null;          // [B, H, S, D]
        using var ownValue = repeated ? value.repeat_interleave(repeats, dim: 1) : null;      // [B, H, S, D]
        (key, value) = (ownKey ?? key, ownValue ?? value);
        var shared = query.shape[1] != key.shape[1];
        var stack = stackalloc ulong[8]
        {
            Handle(query), Handle(key), Handle(value), Optional(mask is null ? null : Handle(mask)), Bits(dropout), Bits(causal),
            Optional(scale is null ? null : Bits(scale.Value)), Bits(shared),
        };
        Call("aten::scaled_dot_product_attention"u8, ""u8, stack);
        return Owned(stack[0]);
    }

    /// <summary>x / sqrt(mean(x^2) + epsilon) * weight over the last dimension (Zhang and Sennrich 2019).</summary>
    /// <param name="x">[..., C]</param>
    /// <param name="weight">[C]</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <returns>[..., C]</returns>
    public static Tensor RmsNorm(Tensor x, Tensor weight, double epsilon)
    {
        if (weight.dim() != 1 || x.shape[^1] != weight.shape[0])
            throw new ArgumentException("the weight must be as wide as the last dimension");
        var stack = stackalloc ulong[4] { Handle(x), List([(ulong)weight.shape[0]]), Optional(Handle(weight)), Optional(Bits(epsilon)) };
        Call("aten::rms_norm"u8, ""u8, stack);
        return Owned(stack[0]);
    }

    /// <summary>The bits of a tensor reinterpreted as another type of the same size; both share the memory.</summary>
    public static Tensor View(Tensor tensor, ScalarType type)
    {
        if (tensor.element_size() != type.ElementSize()) throw new ArgumentException($"{tensor.dtype} and {type} differ in size");
        var stack = stackalloc ulong[2] { Handle(tensor), (ulong)(sbyte)type };
        Call("aten::view"u8, "dtype"u8, stack);
        return Owned(stack[0]);
    }

    /// <summary>
    /// One AdamW step (Loshchilov and Hutter 2019) over several ranges in one pass over memory; all are changed in place.
    /// </summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="gradients">Their gradients, of the same shapes; divided by <paramref name="gradientScale"/> first.</param>
    /// <param name="means">The running means of the gradients.</param>
    /// <param name="squares">The running means of the squared gradients.</param>
    /// <param name="steps">One-element float tensors that count the steps, this one included; one per range.</param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="beta1">The decay of the means.</param>
    /// <param name="beta2">The decay of the squares.</param>
    /// <param name="weightDecay">The decoupled decay, multiplied by the learning rate.</param>
    /// <param name="epsilon">Added to the root.</param>
    /// <param name="gradientScale">A one-element float tensor, or null for 1.</param>
    public static void FusedAdamW(
        IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> gradients, IReadOnlyList<Tensor> means, IReadOnlyList<Tensor> squares,
        IReadOnlyList<Tensor> steps, double learningRate, double beta1, double beta2, double weightDecay, double epsilon,
        Tensor? gradientScale)
    {
        var count = parameters.Count;
        if (count == 0) return;
        if (gradients.Count != count || means.Count != count || squares.Count != count || steps.Count != count)
            throw new ArgumentException("parameters, gradients, moments and steps must be equally many");
        for (var i = 0; i < count; i++)
            if (parameters[i].numel() != gradients[i].numel() || parameters[i].numel() != means[i].numel()
                || parameters[i].numel() != squares[i].numel())
                throw new ArgumentException($"range {i}: parameter, gradient and moments differ in size");

        var stack = stackalloc ulong[15]
        {
            List(parameters), List(gradients), List(means), List(squares), List(ReadOnlySpan<ulong>.Empty), List(steps),
            Bits(learningRate), Bits(beta1), Bits(beta2), Bits(weightDecay), Bits(epsilon), Bits(false), Bits(false),
            Optional(gradientScale is null ? null : Handle(gradientScale)), Optional(null),
        };
        Call("aten::_fused_adamw_"u8, ""u8, stack);
    }

    /// <summary>The address of a tensor's first element, on whatever device it lies. Keep the tensor alive while it is in use.</summary>
    public static IntPtr DataPointer(Tensor tensor)
    {
        Check(aoti_torch_get_data_ptr(tensor.Handle, out var pointer));
        return pointer;
    }

    private static void Call(ReadOnlySpan<byte> name, ReadOnlySpan<byte> overload, ulong* stack)
    {
        fixed (byte* n = name, o = overload)
        {
            byte empty = 0;
            if (torch_call_dispatcher(n, o == null ? &empty : o, stack, Version) != 0)
                throw new InvalidOperationException(
                    $"libtorch refused {System.Text.Encoding.ASCII.GetString(name)}; its message is above on standard error");
        }
    }

    // Arguments are consumed by the call, so each gets a handle of its own; results come back owned.
    private static ulong Handle(Tensor tensor)
    {
        Check(aoti_torch_new_tensor_handle(tensor.Handle, out var handle));
        GC.KeepAlive(tensor);
        return (ulong)handle;
    }

    private static Tensor Owned(ulong handle) => Tensor.UnsafeCreateTensor((IntPtr)handle);

    private static ulong Bits(double value) => BitConverter.DoubleToUInt64Bits(value);

    private static ulong Bits(bool value) => value ? 1UL : 0UL;

    // An absent optional is null, a present one a pointer to its slot, which the callee frees.
    private static ulong Optional(ulong? value)
    {
        if (value is null) return 0;
        var slot = (ulong*)NativeMemory.Alloc(sizeof(ulong));
        *slot = value.Value;
        return (ulong)slot;
    }

    private static ulong List(IReadOnlyList<Tensor> tensors)
    {
        var handles = new ulong[tensors.Count];
        for (var i = 0; i < handles.Length; i++) handles[i] = Handle(tensors[i]);
        return List(handles);
    }

    private static ulong List(ReadOnlySpan<ulong> values)
    {
        Check(torch_new_list_reserve_size((nuint)values.Length, out var list));
        foreach (var value in values) Check(torch_list_push_back(list, value));
        return (ulong)list;
    }

    private static void Check(int code)
    {
        if (code != 0) throw new InvalidOperationException("libtorch's C interface failed; its message is above on standard error");
    }

    [LibraryImport(Library)]
    private static partial int torch_call_dispatcher(byte* name, byte* overload, ulong* stack, ulong version);

    [LibraryImport(Library)]
    private static partial int aoti_torch_new_tensor_handle(IntPtr tensor, out IntPtr handle);

    [LibraryImport(Library)]
    private static partial int aoti_torch_get_data_ptr(IntPtr tensor, out IntPtr pointer);

    [LibraryImport(Library)]
    private static partial int torch_new_list_reserve_size(nuint size, out IntPtr list);

    [LibraryImport(Library)]
    private static partial int torch_list_push_back(IntPtr list, ulong value);
}
