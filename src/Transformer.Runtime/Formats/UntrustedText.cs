namespace Transformer.Formats;

/// <summary>Text from a file that somebody else wrote.</summary>
internal static class UntrustedText
{
    /// <summary>The text for a message, which must not print control characters or a megabyte of it.</summary>
    public static string Shown(string text, int longest = 120) =>
        string.Concat((text.Length > longest ? text[..longest] + "..." : text).Select(c => char.IsControl(c) ? '?' : c));
}
