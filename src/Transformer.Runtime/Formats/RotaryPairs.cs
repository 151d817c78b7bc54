namespace Transformer.Formats;

// H heads · D head width · C width

/// <summary>
/// The two orders of a head's rows. Rotary positions rotate them in pairs: llama2.c and GGUF's llama keep the two of a pair adjacent, 2 i
/// and 2 i + 1; Hugging Face's Llama, and so this library, keeps them half a head apart, i and i + D / 2.
/// </summary>
internal static class RotaryPairs
{
    /// <summary>From adjacent pairs to pairs half a head apart.</summary>
    /// <param name="rows">[H D, C] or, a bias, [H D].</param>
    /// <param name="heads">H</param>
    public static StoredTensor HalfSplit(StoredTensor rows, long heads)
    {
        var half = rows.Shape[0] / heads / 2;
        return TensorLayout.Reordered(rows, row => row / (2 * half) * 2 * half + 2 * (row % half) + row / half % 2);
    }

    /// <summary>From pairs half a head apart to adjacent pairs.</summary>
    /// <param name="rows">[H D, C] or, a bias, [H D].</param>
    /// <param name="heads">H</param>
    public static StoredTensor Adjacent(StoredTensor rows, long heads)
    {
        var half = rows.Shape[0] / heads / 2;
        return TensorLayout.Reordered(rows, row => row / (2 * half) * 2 * half + row % 2 * half + row / 2 % half);
    }
}
