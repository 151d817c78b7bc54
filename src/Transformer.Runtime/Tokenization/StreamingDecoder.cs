using System.Text;

namespace Transformer.Tokenization;

/// <summary>Token ids in, text out as soon as it is complete: a character whose bytes are incomplete is held back.</summary>
public sealed class StreamingDecoder
{
    private readonly Tokenizer tokenizer;
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private int? previous;

    /// <param name="tokenizer">What the ids mean.</param>
    /// <param name="previous">The token before the first one, if the stream continues a text.</param>
    public StreamingDecoder(Tokenizer tokenizer, int? previous = null)
    {
        this.tokenizer = tokenizer;
        this.previous = previous;
    }

    /// <summary>
    /// Appends the next token and returns the text that it completes, which may be empty. Bytes that are not UTF-8 become U+FFFD.
    /// </summary>
    /// <exception cref="Configuration.InputException">The id is outside the vocabulary.</exception>
    public string Append(int id)
    {
        var bytes = tokenizer.BytesOf(id, previous);
        previous = id;
        return Decode(bytes, flush: false);
    }

    /// <summary>Ends the text: a character that stayed incomplete becomes U+FFFD.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        return new(characters, 0, decoder.GetChars(bytes, characters, flush));
    }
}
