using System.IO.Hashing;
using Transformer.Formats;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// I inputs · O outputs

/// <summary>
/// A model's weights by name: matrices are read in place or packed into another format, vectors are copied. Memory that is read in place
/// stays valid as long as this does, whatever becomes of the model.
/// </summary>
internal sealed unsafe class CpuWeights : IDisposable
{
    private readonly Dictionary<string, MemoryTensor> tensors;
    private readonly WeightFormat format;
    private readonly List<IDisposable> owned;

    private CpuWeights(Dictionary<string, MemoryTensor> tensors, WeightFormat format, List<IDisposable> owned) =>
        (this.tensors, this.format, this.owned) = (tensors, format, owned);

    /// <summary>The weights of a model; null where the kernels cannot read a tensor's type.</summary>
    /// <param name="tensors">All tensors of the model.</param>
    /// <param name="format">The format of matrices in memory.</param>
    /// <param name="owned">What holds the tensors' memory; the weights, where there are any, dispose it.</param>
    public static CpuWeights? Of(IEnumerable<MemoryTensor> tensors, WeightFormat format, params IEnumerable<IDisposable> owned)
    {
        var byName = tensors.ToDictionary(tensor => tensor.Name);
        return byName.Values.All(tensor => tensor.Type is ElementType.F32 or ElementType.BF16 or ElementType.F16)
            ? new(byName, format, [.. owned])
            : null;
    }

    /// <summary>Whether there is such a tensor.</summary>
    public bool Contains(string name) => tensors.ContainsKey(name);

    /// <summary>A matrix of the layers or the head, in the format that was asked for.</summary>
    public WeightMatrix Matrix(string name) => Own(MatrixPacking.Pack(Plain(name), format));

    /// <summary>A matrix that was made of the model's own, in the format that was asked for.</summary>
    /// <param name="made">What was made; this disposes it.</param>
    public WeightMatrix Matrix(WeightMatrix made)
    {
        var packed = Own(MatrixPacking.Pack(made, format));
        if (packed != made) made.Dispose();
        return packed;
    }

    /// <summary>A matrix that is never packed, being too small or too sensitive to rounding.</summary>
    public WeightMatrix Exact(string name) => Own(Plain(name));

    /// <summary>All numbers of a tensor in single precision, in a row.</summary>
    public float* Vector(string name)
    {
        var count = tensors[name].Count;
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

    /// <summary>A hash of all weights that the model has read, as they are packed.</summary>
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
            for (var at = 0L; at < bytes; at += int.MaxValue)
                hash.Append(new ReadOnlySpan<byte>(address + at, (int)Math.Min(bytes - at, int.MaxValue)));
        }
    }

    // What follows the outputs are inputs, in a convolution of several dimensions.
    private WeightMatrix Plain(string name)
    {
        var outputs = tensors[name].Shape[0];
        return Rows(name, (int)outputs, (int)(tensors[name].Count / outputs));
    }

    private WeightMatrix Rows(string name, int outputs, int inputs) => tensors[name] switch
    {
        { Type: ElementType.F32, Address: var address } => new FloatMatrix<Float32Element>((byte*)address, outputs, inputs),
        { Type: ElementType.BF16, Address: var address } => new FloatMatrix<BFloat16Element>((byte*)address, outputs, inputs),
        { Address: var address } => new FloatMatrix<Float16Element>((byte*)address, outputs, inputs),
    };

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
}
