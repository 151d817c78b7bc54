using static TorchSharp.torch;

namespace Transformer.Formats;

// H heads · D head width · C width

/// <summary>
/// The two orders of a head's rows. Rotary positions turn them in pairs: llama2.c and GGUF's llama keep the two of a pair side by side, 2 i and 2 i + 1;
/// Hugging Face's Llama, and so this library, keeps them half a head apart, i and i + D / 2.
/// </summary>
internal static class RotaryPairs
{
    /// <summary>From pairs side by side to pairs half a head apart.</summary>
    /// <param name="rows">[H D, C] or, a bias, [H D].</param>
    /// <param name="heads">H</param>
    public static Tensor HalfSplit(Tensor rows, long heads) => rows.view(heads, rows.shape[0] / heads / 2, 2, -1).transpose(1, 2).reshape(rows.shape);

    /// <summary>From pairs half a head apart to pairs side by side.</summary>
    /// <param name="rows">[H D, C] or, a bias, [H D].</param>
    /// <param name="heads">H</param>
    public static Tensor Adjacent(Tensor rows, long heads) => rows.view(heads, 2, rows.shape[0] / heads / 2, -1).transpose(1, 2).reshape(rows.shape);
}
