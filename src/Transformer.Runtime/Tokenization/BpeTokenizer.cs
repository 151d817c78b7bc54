using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Tokenization;

/// <summary>Byte-level byte-pair encoding in GPT-2's format (Radford et al. 2019): any text has tokens, and no byte is lost.</summary>
public sealed class BpeTokenizer : Tokenizer
{
    private const string EndOfTextName = "<|endoftext|>";

    // Cache of pieces: most are words that were seen before. The bounds keep a hostile text from filling the memory.
    private const int LongestRemembered = 64, MostRemembered = 1 << 16;
    private readonly ConcurrentDictionary<string, int[]> remembered = new();

    private readonly int[] byteIds = new int[256];
    private readonly IReadOnlyDictionary<string, int> vocabulary;

    /// <param name="vocabulary">Token, written in GPT-2's byte symbols, to id; with the added tokens, ids 0 to N - 1.</param>
    /// <param name="merges">Pairs of tokens in order of rank.</param>
    /// <param name="added">The tokens that a text may name, whether the vocabulary has them or not.</param>
    /// <param name="ignoresMerges">Whether a piece that is in the vocabulary as a whole is that token, whatever merges make of it.</param>
    /// <exception cref="InputException">Ids are missing or given twice, a byte has no token, or a merge has an unknown token.</exception>
    public BpeTokenizer(
        IReadOnlyDictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> merges,
        IReadOnlyList<AddedToken>? added = null, bool ignoresMerges = false)
        : base(BytesOfTokens(vocabulary, added ?? []), added, begin: null, EndsOf(vocabulary, added ?? []))
    {
        (this.vocabulary, IgnoresMerges) = (vocabulary, ignoresMerges);
        for (var value = 0; value < 256; value++)
        {
            var symbol = ByteSymbols.Write([(byte)value]);
            byteIds[value] = vocabulary.TryGetValue(symbol, out var id)
                ? id
                : throw new InputException(
                    $"the vocabulary has no token for the byte 0x{value:X2} ('{symbol}'); a byte-level vocabulary has all 256");
        }
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right) = merges[rank];
            if (!vocabulary.TryGetValue(left, out var leftId)
                || !vocabulary.TryGetValue(right, out var rightId)
                || !vocabulary.TryGetValue(left + right, out var merged))
            {
                throw new InputException(
                    $"merge {rank + 1}, '{left} {right}': a part or the whole is not in the vocabulary; " +
                    "do vocabulary and merges belong together?");
            }
            Merges.Add(leftId, rightId, rank, merged);
        }
    }

    /// <summary>Whether a piece that is in the vocabulary as a whole is that token, whatever merges make of it.</summary>
    public bool IgnoresMerges { get; }

    internal MergeTable Merges { get; } = new();

    internal override string NameOf(int id) =>
        AddedTokens.FirstOrDefault(token => token.Id == id)?.Content ?? ByteSymbols.Write(BytesOf(id));

    /// <summary>Reads GPT-2's two files. Where the vocabulary has <c>&lt;|endoftext|&gt;</c>, a text may name it.</summary>
    /// <param name="vocabularyPath">vocab.json: token to id.</param>
    /// <param name="mergesPath">merges.txt: one pair per line; a first line <c>#version</c> is skipped.</param>
    /// <exception cref="InputException">A file is missing or damaged, or the two do not belong together.</exception>
    public static BpeTokenizer FromFiles(string vocabularyPath, string mergesPath)
    {
        try
        {
            var vocabulary = JsonSerializer.Deserialize(
                WholeFile.Bytes(vocabularyPath, WholeFile.MostOfTable), VocabularyContext.Default.DictionaryStringInt32)
                ?? throw new InputException("found null, expected an object of tokens and ids");
            var lines = WholeFile.Lines(mergesPath, WholeFile.MostOfTable)
                .SkipWhile((line, i) => i == 0 && line.StartsWith("#version", StringComparison.Ordinal));
            return new(
                vocabulary, [.. lines.Where(line => line.Length > 0).Select(ParseMerge)],
                vocabulary.TryGetValue(EndOfTextName, out var end) ? [new(end, EndOfTextName)] : []);
        }
        catch (JsonException e)
        {
            throw new InputException($"{vocabularyPath}: not a JSON object of tokens and ids ({JsonProblem.Of(e)})", e);
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{mergesPath}: {e.Message}, expected the merges, two tokens with a space between them a line", e);
        }
        catch (InputException e)
        {
            throw new InputException($"{vocabularyPath}, {mergesPath}: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"data.tokenizer: {e.Message} Name GPT-2's vocab.json and merges.txt as vocabulary and merges.", e);
        }
    }

    /// <summary>Reads <c>left right</c>, the way in which merges are written.</summary>
    internal static (string Left, string Right) ParseMerge(string line) => line.Split(' ') is [var left, var right]
        ? (left, right)
        : throw new InputException($"found the merge '{line}', expected two tokens with one space between them");

    private protected override void Encode(ReadOnlySpan<char> text, long position, List<int> ids)
    {
        var lookup = remembered.GetAlternateLookup<ReadOnlySpan<char>>();
        while (!text.IsEmpty)
        {
            var piece = text[..GptPieces.First(text)];
            text = text[piece.Length..];
            if (!lookup.TryGetValue(piece, out var known))
            {
                known = Merge(piece);
                if (piece.Length <= LongestRemembered && remembered.Count < MostRemembered) lookup.TryAdd(piece, known);
            }
            ids.AddRange(known);
        }
    }

    private protected override int LastCut(ReadOnlySpan<char> text) => GptPieces.LastCut(text);

    private int[] Merge(ReadOnlySpan<char> piece)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(piece)];
        Encoding.UTF8.GetBytes(piece, bytes);
        if (IgnoresMerges && vocabulary.TryGetValue(ByteSymbols.Write(bytes), out var whole)) return [whole];
        var ids = new List<int>(bytes.Length);
        Merges.Apply(Array.ConvertAll(bytes, value => byteIds[value]), ids);
        return [.. ids];
    }

    private static int[] EndsOf(IReadOnlyDictionary<string, int> vocabulary, IReadOnlyList<AddedToken> added) =>
        added.FirstOrDefault(token => token.Content == EndOfTextName)?.Id is { } named ? [named]
        : vocabulary.TryGetValue(EndOfTextName, out var end) ? [end]
        : [];

    private static byte[][] BytesOfTokens(IReadOnlyDictionary<string, int> vocabulary, IReadOnlyList<AddedToken> added)
    {
        var names = vocabulary.Select(token => (token.Key, token.Value))
            .Concat(added.Select(token => (token.Content, token.Id))).Distinct().ToList();
        var tokens = new byte[names.Count][];
        foreach (var (token, id) in names)
        {
            if (id < 0 || id >= tokens.Length || tokens[id] is not null)
            {
                throw new InputException($"token '{token}' has id {id}, but each id from 0 to {tokens.Length - 1} must occur once");
            }
            tokens[id] = ByteSymbols.Read(token) ?? Encoding.UTF8.GetBytes(token);    // a special token may be any text
        }
        foreach (var token in added) tokens[token.Id] = Encoding.UTF8.GetBytes(token.Content);
        return tokens;
    }
}
