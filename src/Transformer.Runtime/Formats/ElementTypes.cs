namespace Transformer.Formats;

/// <summary>Sizes and names of element types.</summary>
public static class ElementTypes
{
    private static readonly (ElementType Type, string Name, int Size)[] Table =
    [
        (ElementType.I64, "I64", 8),
        (ElementType.F64, "F64", 8),
        (ElementType.F32, "F32", 4),
        (ElementType.I32, "I32", 4),
        (ElementType.BF16, "BF16", 2),
        (ElementType.F16, "F16", 2),
        (ElementType.I16, "I16", 2),
        (ElementType.I8, "I8", 1),
        (ElementType.U8, "U8", 1),
        (ElementType.Bool, "BOOL", 1),
    ];

    /// <summary>The bytes of an element.</summary>
    public static int Size(this ElementType type) => Table[(int)type].Size;

    /// <summary>The name by which Safetensors files know the type.</summary>
    public static string Name(this ElementType type) => Table[(int)type].Name;

    /// <summary>The type of this name; null where there is none.</summary>
    internal static ElementType? Named(string name) =>
        Array.FindIndex(Table, row => row.Name == name) is >= 0 and var index ? Table[index].Type : null;

    /// <summary>All names.</summary>
    internal static IEnumerable<string> Names => Table.Select(row => row.Name);

    /// <summary>The type of .NET's numbers.</summary>
    /// <exception cref="ArgumentException">No element type is of this kind.</exception>
    internal static ElementType Of<T>() where T : unmanaged => default(T) switch
    {
        long => ElementType.I64,
        double => ElementType.F64,
        float => ElementType.F32,
        int => ElementType.I32,
        Half => ElementType.F16,
        short => ElementType.I16,
        sbyte => ElementType.I8,
        byte => ElementType.U8,
        bool => ElementType.Bool,
        _ => throw new ArgumentException($"no tensor holds elements of type {typeof(T).Name}"),
    };
}
