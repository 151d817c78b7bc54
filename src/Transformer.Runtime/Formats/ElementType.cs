namespace Transformer.Formats;

/// <summary>
/// The types of a stored tensor's elements, in the order in which writers lay tensors out: wide elements first, so that every tensor is
/// aligned to its own element size. Among types of one width this is the order of the reference writer of Safetensors, whose files ours
/// equal byte by byte.
/// </summary>
public enum ElementType
{
    /// <summary>64-bit integers.</summary>
    I64,

    /// <summary>Double precision.</summary>
    F64,

    /// <summary>Single precision.</summary>
    F32,

    /// <summary>32-bit integers.</summary>
    I32,

    /// <summary>bfloat16: the upper half of a single.</summary>
    BF16,

    /// <summary>IEEE half precision.</summary>
    F16,

    /// <summary>16-bit integers.</summary>
    I16,

    /// <summary>8-bit integers.</summary>
    I8,

    /// <summary>Bytes.</summary>
    U8,

    /// <summary>Truth values, a byte each.</summary>
    Bool,
}
