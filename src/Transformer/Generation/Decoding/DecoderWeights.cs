using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Generation.Decoding;

// I inputs · O outputs

/// <summary>A model's weights by name, where they lie: matrices are read in place or packed into another format, vectors are copied.
/// Memory that is read in place stays as long as this does, whatever becomes of the model.</summary>
internal sealed unsafe class DecoderWeights : IDisposable
{
    private readonly Dictionary<string, Tensor> tensors;
    private readonly WeightFormat format;
    private readonly List<IDisposable> owned = [];

    private DecoderWeights(Dictionary<string, Tensor> tensors, WeightFormat format) => (this.tensors, this.format) = (tensors, format);

    /// <summary>The weights of a model; null where they do not lie in this machine's own memory, row by row, as numbers of a known type.</summary>
    public static DecoderWeights? Of(TransformerModel model, WeightFormat format)
    {
        if (!model.Weights.All(weight => Covers(weight.Value))) return null;
        return new DecoderWeights(model.Weights.ToDictionary(weight => weight.Name, weight => weight.Value.detach().DetachFromDisposeScope()), format);
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
        using var scope = NewDisposeScope();
        var values = tensors[name].detach().to(ScalarType.Float32);
        var copy = Own(new NativeArray<float>(values.numel()));
        new ReadOnlySpan<float>((void*)Aten.DataPointer(values), (int)values.numel()).CopyTo(copy.Span(0, (int)copy.Length));
        GC.KeepAlive(values);
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

    private WeightMatrix Plain(string name)
    {
        var tensor = tensors[name];
        var (outputs, inputs) = ((int)tensor.shape[0], (int)tensor.shape[1]);
        var address = (byte*)Aten.DataPointer(tensor);
        return tensor.dtype switch
        {
            ScalarType.Float32 => new FloatMatrix<Float32Element>(address, outputs, inputs),
            ScalarType.BFloat16 => new FloatMatrix<BFloat16Element>(address, outputs, inputs),
            _ => new FloatMatrix<Float16Element>(address, outputs, inputs),
        };
    }

    // A weight without numbers lies with other ranks.
    private static bool Covers(Tensor tensor) =>
        tensor.device_type == TorchSharp.DeviceType.CPU && tensor.numel() > 0 && tensor.is_contiguous() && tensor.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    private T Own<T>(T resource) where T : IDisposable
    {
        owned.Add(resource);
        return resource;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var resource in owned) resource.Dispose();
        foreach (var tensor in tensors.Values) tensor.Dispose();
    }
}
