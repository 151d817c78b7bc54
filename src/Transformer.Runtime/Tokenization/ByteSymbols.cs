using System.Text;

namespace Transformer.Tokenization;

/// <summary>
/// GPT-2's way to write bytes as visible characters: a byte that Latin-1 prints is its character, the other 68 take U+0100 and
/// up, in order.
/// </summary>
internal static class ByteSymbols
{
    private static readonly char[] Symbols = MakeSymbols();
    private static readonly Dictionary<char, byte> Bytes = Enumerable.Range(0, 256)
        .ToDictionary(value => Symbols[value], value => (byte)value);

    /// <summary>The symbols of the bytes.</summary>
    public static string Write(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var value in bytes) text.Append(Symbols[value]);
        return text.ToString();
    }

    /// <summary>The bytes of the symbols; null where a character is no symbol.</summary>
    public static byte[]? Read(string symbols)
    {
        var bytes = new byte[symbols.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!Bytes.TryGetValue(symbols[i], out bytes[i])) return null;
        }
        return bytes;
    }

    private static char[] MakeSymbols()
    {
        var (symbols, hidden) = (new char[256], 0);
        for (var value = 0; value < 256; value++)
        {
            var visible = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;
            symbols[value] = (char)(visible ? value : 0x100 + hidden++);
        }
        return symbols;
    }
}
