using System.Buffers;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Tokenization;

/// <summary>Text to token ids and back. Ids run from 0 to <see cref="VocabularySize"/> - 1. Safe for use from several threads.</summary>
public abstract class Tokenizer
{
    private readonly byte[][] tokens;
    private readonly AddedTokenSplit literal, normalized;

    /// <param name="tokens">For every id the UTF-8 bytes that it stands for.</param>
    /// <param name="added">The tokens that a text may name.</param>
    /// <param name="begin">The token that begins a text.</param>
    /// <param name="ends">The tokens that end a text.</param>
    /// <exception cref="InputException">An added token has no content, no such id, or the content of another.</exception>
    private protected Tokenizer(byte[][] tokens, IReadOnlyList<AddedToken>? added = null, int? begin = null, params int[] ends)
    {
        this.tokens = tokens;
        (AddedTokens, BeginOfText, EndTokens) = (added ?? [], begin, ends);
        foreach (var token in AddedTokens)
        {
            if (token.Content.Length == 0) throw new InputException($"added token {token.Id} has no content");
            if ((uint)token.Id >= (uint)tokens.Length)
                throw new InputException($"added token '{token.Content}' has id {token.Id}, expected 0 to {tokens.Length - 1}");
        }
        if (AddedTokens.GroupBy(token => token.Content).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new InputException($"added token '{twice.Key}' is there twice");
        literal = new(AddedTokens.Where(token => !token.Normalized).Select(token => (token.Content, token)));
        normalized = new(AddedTokens.Where(token => token.Normalized).Select(token => (Normalized(token.Content).ToString(), token)));
    }

    /// <summary>The number of tokens.</summary>
    public int VocabularySize => tokens.Length;

    /// <summary>The tokens that a text may name.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; }

    /// <summary>The token that begins a text, where the model was trained with one. <see cref="Encode(string)"/> does not add it.</summary>
    public int? BeginOfText { get; private set; }

    /// <summary>The token that ends a text, where the vocabulary has one. <see cref="Encode(string)"/> does not add it.</summary>
    public int? EndOfText => EndTokens is [var first, ..] ? first : null;

    /// <summary>All tokens that end a text, the usual one first: chat models have one for the text and one for a turn.</summary>
    public IReadOnlyList<int> EndTokens { get; private set; }

    /// <summary>The tokens at which generation stops: those that end a text, and the one that begins the next.</summary>
    internal IReadOnlyList<int> StopTokens => [.. EndTokens.Append(BeginOfText ?? -1).Where(token => token >= 0).Distinct()];

    /// <summary>Builds the tokenizer that a configuration asks for.</summary>
    /// <param name="config">The tokenizer's kind and files.</param>
    /// <param name="texts">Open the texts whose characters are the vocabulary; called only for a kind that needs them.</param>
    /// <exception cref="InputException">A file is missing or wrong.</exception>
    public static Tokenizer FromConfig(TokenizerConfig config, params IEnumerable<Func<TextReader>> texts) => config switch
    {
        CharacterTokenizerConfig => CharacterTokenizer.FromCorpus(texts.Select(open => open())),
        ByteTokenizerConfig => new ByteTokenizer(),
        BpeTokenizerConfig bpe => BpeTokenizer.FromFiles(bpe.Vocabulary, bpe.Merges),
        FileTokenizerConfig file => Load(file.Path),
        _ => throw new NotSupportedException($"{config.GetType().Name} has no tokenizer"),
    };

    /// <summary>Reads a tokenizer.json that <see cref="Save"/> or Hugging Face's library wrote.</summary>
    /// <exception cref="InputException">The file is missing, damaged or of a kind that is not known here.</exception>
    public static Tokenizer Load(string path) => TokenizerFileReader.Read(path, new());

    /// <summary>Writes a tokenizer.json that <see cref="Load"/> and Hugging Face's tokenizers library read.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public void Save(string path) => TokenizerFileWriter.Write(this, path);

    /// <summary>The token ids of a text. Where it has the content of an <see cref="AddedToken"/>, it has that token.</summary>
    /// <exception cref="InputException">The text has characters that this tokenizer lacks.</exception>
    public int[] Encode(string text)
    {
        var ids = new List<int>(text.Length);
        EncodeParts(text, position: 0, ids);
        return [.. ids];
    }

    /// <summary>The token ids of a text of any length, piece by piece: together they are the ids of the whole text.</summary>
    /// <exception cref="InputException">The text has characters that this tokenizer lacks.</exception>
    public IEnumerable<int[]> Encode(TextReader text)
    {
        var buffer = new char[1 << 16];
        var ids = new List<int>(buffer.Length);
        var (held, position, ended) = (0, 0L, false);
        while (!ended)
        {
            if (held == buffer.Length) Array.Resize(ref buffer, 2 * buffer.Length);
            held += text.ReadBlock(buffer, held, buffer.Length - held);
            ended = held < buffer.Length;
            var cut = ended ? held : LastCutOfParts(buffer.AsSpan(0, held));
            if (cut == 0) continue;
            EncodeParts(buffer.AsSpan(0, cut), position, ids);
            yield return [.. ids];
            ids.Clear();
            buffer.AsSpan(cut, held - cut).CopyTo(buffer);
            (held, position) = (held - cut, position + cut);
        }
    }

    /// <summary>The text of the tokens. Bytes that are not UTF-8 become U+FFFD.</summary>
    /// <exception cref="InputException">An id is outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>(4 * ids.Length + 1);
        int? previous = null;
        foreach (var id in ids)
        {
            bytes.Write(BytesOf(id, previous));
            previous = id;
        }
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>The UTF-8 bytes that a token stands for: often a part of a character, nothing for a control token.</summary>
    /// <exception cref="InputException">The id is outside the vocabulary.</exception>
    public ReadOnlySpan<byte> BytesOf(int id) => (uint)id < (uint)tokens.Length
        ? tokens[id]
        : throw new InputException(
            $"token {id} is not in this vocabulary of {tokens.Length} tokens; ids run from 0 to {tokens.Length - 1}. " +
            "Is it the model's own tokenizer?");

    /// <summary>Whether every id means the same in both.</summary>
    public bool HasTokensOf(Tokenizer other) =>
        GetType() == other.GetType()
            && (VocabularySize, BeginOfText) == (other.VocabularySize, other.BeginOfText)
            && EndTokens.ToHashSet().SetEquals(other.EndTokens)
        && tokens.Zip(other.tokens).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    /// <summary>The bytes that a token adds to a text after the given one.</summary>
    internal virtual ReadOnlySpan<byte> BytesOf(int id, int? previous) => BytesOf(id);

    /// <summary>A token as the file of the vocabulary writes it.</summary>
    internal virtual string NameOf(int id) => Encoding.UTF8.GetString(BytesOf(id));

    /// <summary>The same tokenizer for texts that begin and end by other tokens.</summary>
    internal Tokenizer WithEnds(int? begin, IReadOnlyList<int> ends)
    {
        var copy = (Tokenizer)MemberwiseClone();
        (copy.BeginOfText, copy.EndTokens) = (begin, ends);
        return copy;
    }

    /// <summary>A text as <see cref="Encode(ReadOnlySpan{char}, long, List{int})"/> takes it.</summary>
    private protected virtual ReadOnlySpan<char> Normalized(ReadOnlySpan<char> text) => text;

    /// <summary>Appends the ids of a text without added tokens.</summary>
    /// <param name="text">The text or a piece of it, normalized.</param>
    /// <param name="position">Where the piece starts in the text; for messages.</param>
    /// <param name="ids">Receives the ids.</param>
    private protected abstract void Encode(ReadOnlySpan<char> text, long position, List<int> ids);

    /// <summary>
    /// The last position to cut a text so that both sides, encoded alone, give the ids of the whole; 0 where there is none yet.
    /// </summary>
    private protected abstract int LastCut(ReadOnlySpan<char> text);

    private void EncodeParts(ReadOnlySpan<char> text, long position, List<int> ids)
    {
        foreach (var part in literal.Parts(text))
        {
            if (part.Id is { } named)
            {
                ids.Add(named);
                continue;
            }
            var plain = Normalized(text[part.Start..part.End]);
            foreach (var inner in normalized.Parts(plain))
            {
                if (inner.Id is { } id) ids.Add(id);
                else Encode(plain[inner.Start..inner.End], position + part.Start + inner.Start, ids);
            }
        }
    }

    // As LastCut, for texts with added tokens.
    private int LastCutOfParts(ReadOnlySpan<char> text)
    {
        if (AddedTokens.Count == 0) return LastCut(text);
        if (AddedTokens.Any(token => token.SingleWord)) return 0;    // what stands before a cut decides what is found behind it
        if (normalized.Longest > 0 && !Normalized("a").SequenceEqual("a")) return 0;    // normalizing a half is not half of the normalized
        // A token that begins behind this may not be whole yet.
        var sure = text.Length - Math.Max(literal.Longest, normalized.Longest);
        var strips = AddedTokens.Any(token => token.LeftStrip);
        var parts = new List<TextPart>();
        foreach (var part in literal.Parts(text))
        {
            if (part.Id is not null) parts.Add(part);
            else parts.AddRange(normalized.Parts(text[part.Start..part.End])
                .Select(inner => inner with { Start = part.Start + inner.Start, End = part.Start + inner.End }));
        }
        for (var at = parts.Count - 1; at >= 0; at--)
        {
            var (start, end, id) = parts[at];
            if (id is not null && end < sure) return end;
            end = Math.Min(end, sure);
            while (strips && end > start && char.IsWhiteSpace(text[end - 1])) end--;
            if (id is null && end > start && LastCut(text[start..end]) is > 0 and var cut) return start + cut;
        }
        return 0;
    }
}
