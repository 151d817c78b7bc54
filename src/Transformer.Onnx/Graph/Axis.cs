using Transformer.Onnx.Format;

namespace Transformer.Onnx.Graph;

/// <summary>One dimension of an input or output: a size, or the name of one that is known only when the model runs.</summary>
internal readonly record struct Axis(string? Name, long Size)
{
    public static implicit operator Axis(string name) => new(name, 0);

    public static implicit operator Axis(long size) => new(null, size);

    public TensorShapeProto.Types.Dimension ToDimension() => Name is null ? new() { DimValue = Size } : new() { DimParam = Name };
}
