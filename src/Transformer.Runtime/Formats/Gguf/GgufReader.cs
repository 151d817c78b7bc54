using System.Runtime.InteropServices;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>Reads the parts of a GGUF header from a file. Nothing longer than the rest of the file is ever allocated.</summary>
internal sealed class GgufReader(string file, Stream stream)
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>How many bytes have been read.</summary>
    public long Position => stream.Position;

    /// <summary>How many bytes are left.</summary>
    public long Remaining => stream.Length - stream.Position;

    /// <summary>A number of fixed size.</summary>
    public T Number<T>() where T : unmanaged
    {
        var value = default(T);
        Fill(MemoryMarshal.AsBytes(new Span<T>(ref value)));
        return value;
    }

    /// <summary>How many things follow, each of at least so many bytes.</summary>
    public int Count(string what, int bytes)
    {
        var count = Number<ulong>();
        var most = Math.Min(Remaining / bytes, Array.MaxLength);
        return count <= (ulong)most ? (int)count
            : throw Bad($"{count} {what}, but the {Remaining} bytes that are left hold {most} at most; it is cut off or damaged");
    }

    /// <summary>A text: its length in bytes and its UTF-8.</summary>
    public string Text()
    {
        var bytes = new byte[Count("bytes of text", bytes: 1)];
        Fill(bytes);
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Bad($"a text before byte {Position} is not UTF-8");
        }
    }

    /// <summary>A metadata value of a type: a number, a truth value, a text, or an array of these.</summary>
    public object Value(uint type) => type switch
    {
        0 => Number<byte>(),
        1 => Number<sbyte>(),
        2 => Number<ushort>(),
        3 => Number<short>(),
        4 => Number<uint>(),
        5 => Number<int>(),
        6 => Number<float>(),
        7 => Number<byte>() != 0,
        8 => Text(),
        9 => Values(Number<uint>()),
        10 => Number<ulong>(),
        11 => Number<long>(),
        12 => Number<double>(),
        _ => throw Bad($"a value of type {type} before byte {Position}, expected 0 to 12"),
    };

    /// <summary>An error about the file.</summary>
    public InputException Bad(string problem) => new($"{file}: not a valid GGUF file\n  {problem}");

    private Array Values(uint type) => type switch
    {
        0 => Numbers<byte>(),
        1 => Numbers<sbyte>(),
        2 => Numbers<ushort>(),
        3 => Numbers<short>(),
        4 => Numbers<uint>(),
        5 => Numbers<int>(),
        6 => Numbers<float>(),
        7 => Numbers<byte>(),
        8 => Texts(),
        9 => throw Bad($"an array of arrays before byte {Position}, which no model needs"),
        10 => Numbers<ulong>(),
        11 => Numbers<long>(),
        12 => Numbers<double>(),
        _ => throw Bad($"an array of type {type} before byte {Position}, expected 0 to 12"),
    };

    private T[] Numbers<T>() where T : unmanaged
    {
        var numbers = new T[Count("numbers", Marshal.SizeOf<T>())];
        Fill(MemoryMarshal.AsBytes(numbers.AsSpan()));
        return numbers;
    }

    private string[] Texts()
    {
        var texts = new string[Count("texts", bytes: sizeof(ulong))];
        for (var i = 0; i < texts.Length; i++) texts[i] = Text();
        return texts;
    }

    private void Fill(Span<byte> bytes)
    {
        if (bytes.Length > Remaining) throw Bad($"it ends at byte {stream.Length}, within its header; it is cut off");
        stream.ReadExactly(bytes);
    }
}
