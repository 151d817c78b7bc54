using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>Conversion between libtorch's tensors and stored ones.</summary>
public static class TensorStorage
{
    private static readonly (ElementType Stored, ScalarType Scalar)[] Types =
    [
        (ElementType.I64, ScalarType.Int64),
        (ElementType.F64, ScalarType.Float64),
        (ElementType.F32, ScalarType.Float32),
        (ElementType.I32, ScalarType.Int32),
        (ElementType.BF16, ScalarType.BFloat16),
        (ElementType.F16, ScalarType.Float16),
        (ElementType.I16, ScalarType.Int16),
        (ElementType.I8, ScalarType.Int8),
        (ElementType.U8, ScalarType.Byte),
        (ElementType.Bool, ScalarType.Bool),
    ];

    /// <summary>libtorch's name of a type.</summary>
    public static ScalarType ToScalarType(this ElementType type) => Array.Find(Types, pair => pair.Stored == type).Scalar;

    /// <summary>The stored type of a tensor's elements.</summary>
    /// <exception cref="ArgumentException">No file holds such (complex numbers, for one).</exception>
    public static ElementType ToElementType(this ScalarType type) =>
        Array.FindIndex(Types, pair => pair.Scalar == type) is >= 0 and var index
        ? Types[index].Stored
        : throw new ArgumentException($"Files hold {string.Join(", ", Types.Select(pair => pair.Scalar))}, not {type}.", nameof(type));

    /// <summary>A tensor as files hold it. Nothing is copied here: each visit reads the current elements, from any device.</summary>
    /// <exception cref="ArgumentException">No file holds such elements.</exception>
    public static StoredTensor ToStored(this Tensor tensor, string name) => new TorchTensor(name, tensor);

    /// <summary>As <see cref="ToStored(Tensor, string)"/>, for the weights of a model for instance.</summary>
    public static IEnumerable<StoredTensor> ToStored(this IEnumerable<(string Name, Tensor Value)> tensors) =>
        tensors.Select(tensor => tensor.Value.ToStored(tensor.Name));

    /// <summary>A copy of the elements.</summary>
    /// <returns>A new tensor on the CPU with the stored type and shape.</returns>
    public static Tensor ToTensor(this StoredTensor stored)
    {
        var tensor = empty([.. stored.Shape], stored.Type.ToScalarType(), CPU);
        stored.CopyTo(Aten.DataPointer(tensor));
        return tensor;
    }

    /// <summary>Copies the elements into an existing tensor of the same shape, converting the type where it differs.</summary>
    public static void CopyInto(this StoredTensor stored, Tensor destination)
    {
        using var scope = NewDisposeScope();
        using var gradient = no_grad();
        var isInPlace = destination.device_type == TorchSharp.DeviceType.CPU && destination.is_contiguous();
        if (isInPlace && destination.dtype.ToElementType() == stored.Type) stored.CopyTo(Aten.DataPointer(destination));
        else destination.copy_(stored.ToTensor());
    }

    /// <summary>Copies a tensor out of a file.</summary>
    /// <returns>A new tensor on the CPU with the file's type and shape.</returns>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public static Tensor Read(this SafetensorsFile file, string name) => file.Tensor(name).ToTensor();

    /// <summary>Copies a tensor out of a GGUF file.</summary>
    /// <returns>A new tensor on the CPU: of the file's type, or in float32 where the file holds blocks.</returns>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public static Tensor Read(this GgufFile file, string name) => file.Tensor(name).ToTensor();

    /// <summary>Copies a tensor from a file into an existing one of the same shape, converting the type where it differs.</summary>
    /// <exception cref="InputException">The file has no such tensor, or it has another shape.</exception>
    public static void ReadInto(this SafetensorsFile file, string name, Tensor destination)
    {
        var stored = file.Tensor(name);
        if (!destination.shape.SequenceEqual(stored.Shape))
        {
            throw new InputException($"{file.Path}: {name} has shape [{string.Join(", ", stored.Shape)}], " +
                $"expected [{string.Join(", ", destination.shape)}]");
        }
        stored.CopyInto(destination);
    }
}
