using System.Buffers;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Tokenization;

/// <summary>Text to token ids and back. Ids run from 0 to <see cref="VocabularySize"/> - 1. Safe for use from several threads.</summary>
public abstract class Tokenizer
{
    private readonly byte[][] tokens;

    /// <param name="tokens">For every id the UTF-8 bytes that it stands for.</param>
    private protected Tokenizer(byte[][] tokens) => this.tokens = tokens;

    /// <summary>The number of tokens.</summary>
    public int VocabularySize => tokens.Length;

    /// <summary>The token that begins a text, where the model was trained with one. <see cref="Encode(string)"/> does not add it.</summary>
    public virtual int? BeginOfText => null;

    /// <summary>The token that ends a text, where the vocabulary has one. <see cref="Encode(string)"/> does not add it.</summary>
    public virtual int? EndOfText => null;

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
    public static Tokenizer Load(string path) => TokenizerFileReader.Read(path);

    /// <summary>Writes a tokenizer.json that <see cref="Load"/> and Hugging Face's tokenizers library read.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public void Save(string path) => TokenizerFileWriter.Write(this, path);

    /// <summary>The token ids of a text. Names of special tokens in it are plain text.</summary>
    /// <exception cref="InputException">The text has characters that this tokenizer lacks.</exception>
    public int[] Encode(string text)
    {
        var ids = new List<int>(text.Length);
        Encode(text, position: 0, ids);
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
            var cut = ended ? held : LastCut(buffer.AsSpan(0, held));
            if (cut == 0) continue;
            Encode(buffer.AsSpan(0, cut), position, ids);
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
            && (VocabularySize, BeginOfText, EndOfText) == (other.VocabularySize, other.BeginOfText, other.EndOfText)
        && tokens.Zip(other.tokens).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    /// <summary>The bytes that a token adds to a text after the given one.</summary>
    internal virtual ReadOnlySpan<byte> BytesOf(int id, int? previous) => BytesOf(id);

    /// <summary>Appends the ids of a text.</summary>
    /// <param name="text">The text or a piece of it.</param>
    /// <param name="position">Where the piece starts in the text; for messages.</param>
    /// <param name="ids">Receives the ids.</param>
    private protected abstract void Encode(ReadOnlySpan<char> text, long position, List<int> ids);

    /// <summary>
    /// The last position to cut a text so that both sides, encoded alone, give the ids of the whole; 0 where there is none yet.
    /// </summary>
    private protected abstract int LastCut(ReadOnlySpan<char> text);
}
