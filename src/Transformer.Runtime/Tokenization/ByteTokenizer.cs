using System.Text;

namespace Transformer.Tokenization;

/// <summary>One token per UTF-8 byte: 256 tokens, the id is the byte's value, and every text can be encoded.</summary>
public sealed class ByteTokenizer() : Tokenizer([.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })])
{
    internal override string NameOf(int id) => ByteSymbols.Write(BytesOf(id));

    private protected override void Encode(ReadOnlySpan<char> text, long position, List<int> ids)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        foreach (var value in bytes) ids.Add(value);
    }

    private protected override int LastCut(ReadOnlySpan<char> text) => char.IsHighSurrogate(text[^1]) ? text.Length - 1 : text.Length;
}
