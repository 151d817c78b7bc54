namespace Transformer.Formats;

/// <summary>Text from an untrusted file.</summary>
internal static class UntrustedText
{
    /// <summary>The text for a message, without control characters and of limited length.</summary>
    public static string Shown(string text, int longest = 120) =>
        string.Concat((text.Length > longest ? text[..longest] + "..." : text).Select(c => char.IsControl(c) ? '?' : c));
}
