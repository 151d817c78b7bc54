using System.Text;
using Transformer.Tokenization;

namespace Transformer.Data;

// B rows · T tokens

/// <summary>Where the pieces of another tokenizer end among the tokens of a text, which teaches an hourglass to end groups.</summary>
/// <param name="tokens">The tokenizer of the batches.</param>
/// <param name="pieces">The tokenizer whose pieces are looked for, a coarser one.</param>
public sealed class PieceEnds(Tokenizer tokens, Tokenizer pieces)
{
    /// <summary>1 at a token that ends a piece, else 0: [B, T]. A row's last piece may be cut off, and its end is left out.</summary>
    /// <param name="batch">[B, T] token ids.</param>
    /// <exception cref="Configuration.InputException">The other tokenizer lacks a character of the text.</exception>
    public float[] Of(Batch batch)
    {
        var ends = new float[batch.Inputs.Length];
        for (var row = 0; row < batch.Rows; row++)
            Mark(batch.Inputs.AsSpan(row * batch.Columns, batch.Columns), ends.AsSpan(row * batch.Columns, batch.Columns));
        return ends;
    }

    private void Mark(ReadOnlySpan<long> ids, Span<float> ends)
    {
        var (bytes, endOf) = (new List<byte>(), new Dictionary<int, int>());    // after how many bytes which token ends
        for (var t = 0; t < ids.Length; t++)
        {
            bytes.AddRange(tokens.BytesOf((int)ids[t]));
            endOf[bytes.Count] = t;
        }
        var (text, placeOf) = Decode([.. bytes]);
        var (found, place, previous) = (pieces.Encode(text), 0, (int?)null);
        foreach (var piece in found.AsSpan(0, Math.Max(0, found.Length - 1)))
        {
            place += pieces.BytesOf(piece, previous).Length;
            previous = piece;
            if (placeOf.TryGetValue(place, out var end) && endOf.TryGetValue(end, out var token)) ends[token] = 1;
        }
    }

    // A row may begin and end within a character, which becomes another one of another length: for places in the text, as UTF-8, those in
    // the bytes.
    private static (string Text, Dictionary<int, int> PlaceOf) Decode(ReadOnlySpan<byte> bytes)
    {
        var (text, placeOf, length) = (new StringBuilder(), new Dictionary<int, int>(), 0);
        for (var at = 0; at < bytes.Length;)
        {
            Rune.DecodeFromUtf8(bytes[at..], out var character, out var read);
            // a piece may end within a character that is whole
            for (var within = 1; read == character.Utf8SequenceLength && within < read; within++) placeOf[length + within] = at + within;
            at += read;
            length += character.Utf8SequenceLength;
            text.Append(character);
            placeOf[length] = at;
        }
        return (text.ToString(), placeOf);
    }
}
