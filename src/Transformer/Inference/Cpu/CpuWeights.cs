using System.IO.Hashing;
using Transformer.Checkpoints;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Native;
using Transformer.Numerics;
using static TorchSharp.torch;

namespace Transformer.Inference.Cpu;

// I inputs · O outputs

/// <summary>A model's weights by name, where they lie: matrices are read in place or packed into another format, vectors are copied.
/// Memory that is read in place stays as long as this does, whatever becomes of the model.</summary>
internal sealed unsafe class CpuWeights : IDisposable
{
    private readonly Dictionary<string, Stored> tensors = [];
    private readonly WeightFormat format;
    private readonly List<IDisposable> owned = [];

    private CpuWeights(WeightFormat format) => this.format = format;

    /// <summary>The weights of a model; null where they do not lie in this machine's own memory, row by row, as numbers of a known type.</summary>
    public static CpuWeights? Of(TransformerModel model, WeightFormat format)
    {
        if (!model.Weights.All(weight => Supports(weight.Value))) return null;
        var weights = new CpuWeights(format);
        foreach (var (name, value) in model.Weights)
        {
            var tensor = weights.Own(value.detach().DetachFromDisposeScope());
            weights.tensors.Add(name, new(Aten.DataPointer(tensor), tensor.dtype.ToElementType(), tensor.shape));
        }
        return weights;
    }

    /// <summary>The weights of a checkpoint, whose file is mapped into memory; null where a tensor's type is none that the kernels read.</summary>
    /// <param name="checkpoint">The checkpoint, which has the tensors of its model; where there are weights, it ends with them.</param>
    /// <param name="format">How matrices lie in memory.</param>
    public static CpuWeights? Of(CheckpointFolder checkpoint, WeightFormat format)
    {
        if (!checkpoint.Names.All(name => IsRead(checkpoint.Type(name)))) return null;
        var weights = new CpuWeights(format);
        weights.Own(checkpoint);
        foreach (var name in checkpoint.Names) weights.tensors.Add(name, new(checkpoint.Address(name), checkpoint.Type(name), [.. checkpoint.Shape(name)]));
        return weights;
    }

    /// <summary>Whether there is such a tensor.</summary>
    public bool Contains(string name) => tensors.ContainsKey(name);

    /// <summary>A matrix of the layers or the head, in the format that was asked for.</summary>
    public WeightMatrix Matrix(string name) => Own(MatrixPacking.Pack(Plain(name), format));

    /// <summary>A matrix that is too small or too delicate for few bits, as it is.</summary>
    public WeightMatrix Exact(string name) => Own(Plain(name));

    /// <summary>All numbers of a tensor in single precision, in a row.</summary>
    public float* Vector(string name)
    {
        var count = tensors[name].Shape.Aggregate(1L, (product, length) => product * length);
        var copy = Own(new NativeArray<float>(count));
        using var row = Rows(name, 1, (int)count);
        row.Read(0, copy.Pointer);
        return copy.Pointer;
    }

    /// <summary>As <see cref="Vector"/>; null where there is no such tensor.</summary>
    public float* VectorIfAny(string name) => Contains(name) ? Vector(name) : null;

    /// <summary>A table that is not a weight.</summary>
    public float* Constants(IEnumerable<float> values)
    {
        float[] all = [.. values];
        var copy = Own(new NativeArray<float>(all.Length));
        all.CopyTo(copy.Span(0, all.Length));
        return copy.Pointer;
    }

    /// <summary>A hash of all numbers that a model has asked for, as they are packed.</summary>
    public string Hash()
    {
        var hash = new XxHash128();
        foreach (var resource in owned)
        {
            if (resource is WeightMatrix matrix) Append(matrix.Address, matrix.Bytes);
            else if (resource is NativeArray<float> vector) Append((byte*)vector.Pointer, vector.Bytes);
        }
        return Convert.ToHexStringLower(hash.GetCurrentHash());

        void Append(byte* address, long bytes)
        {
            for (var at = 0L; at < bytes; at += int.MaxValue) hash.Append(new ReadOnlySpan<byte>(address + at, (int)Math.Min(bytes - at, int.MaxValue)));
        }
    }

    private WeightMatrix Plain(string name) => Rows(name, (int)tensors[name].Shape[0], (int)tensors[name].Shape[1]);

    private WeightMatrix Rows(string name, int outputs, int inputs) => tensors[name] switch
    {
        { Type: ElementType.F32, Address: var address } => new FloatMatrix<Float32Element>((byte*)address, outputs, inputs),
        { Type: ElementType.BF16, Address: var address } => new FloatMatrix<BFloat16Element>((byte*)address, outputs, inputs),
        { Address: var address } => new FloatMatrix<Float16Element>((byte*)address, outputs, inputs),
    };

    // A weight without numbers lies with other ranks.
    private static bool Supports(Tensor tensor) =>
        tensor.device_type == TorchSharp.DeviceType.CPU && tensor.numel() > 0 && tensor.is_contiguous() && tensor.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    private static bool IsRead(ElementType type) => type is ElementType.F32 or ElementType.BF16 or ElementType.F16;

    private T Own<T>(T resource) where T : IDisposable
    {
        owned.Add(resource);
        return resource;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var resource in owned) resource.Dispose();
    }

    private readonly record struct Stored(nint Address, ElementType Type, long[] Shape);
}
