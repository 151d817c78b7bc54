using static TorchSharp.torch;

namespace Transformer.Formats;

/// <summary>The element types that a Safetensors file may hold.</summary>
internal sealed record SafetensorsType(string Name, ScalarType Scalar, int Size)
{
    /// <summary>
    /// In the order in which writers lay tensors out: wide elements first, so that every tensor is aligned to its own element size.
    /// Among types of one width this is the order of the reference writer, whose files ours equal byte by byte.
    /// </summary>
    public static IReadOnlyList<SafetensorsType> All { get; } =
    [
        new("I64", ScalarType.Int64, 8),
        new("F64", ScalarType.Float64, 8),
        new("F32", ScalarType.Float32, 4),
        new("I32", ScalarType.Int32, 4),
        new("BF16", ScalarType.BFloat16, 2),
        new("F16", ScalarType.Float16, 2),
        new("I16", ScalarType.Int16, 2),
        new("I8", ScalarType.Int8, 1),
        new("U8", ScalarType.Byte, 1),
        new("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>The type of this name, or null where it is not one of ours.</summary>
    public static SafetensorsType? Named(string? name) => All.FirstOrDefault(type => type.Name == name);

    /// <summary>The type of these elements.</summary>
    /// <exception cref="ArgumentException">The format has no such type (complex numbers, for one).</exception>
    public static SafetensorsType Of(ScalarType scalar) => All.FirstOrDefault(type => type.Scalar == scalar)
        ?? throw new ArgumentException($"Safetensors files hold {string.Join(", ", All.Select(type => type.Scalar))}, not {scalar}.", nameof(scalar));

    /// <summary>The place in <see cref="All"/>.</summary>
    public int Rank
    {
        get
        {
            var rank = 0;
            while (All[rank] != this) rank++;
            return rank;
        }
    }
}
