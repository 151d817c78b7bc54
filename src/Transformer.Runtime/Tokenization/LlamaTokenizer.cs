using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Tokenization;

/// <summary>
/// SentencePiece's byte-pair encoding (Kudo and Richardson 2018) as Llama uses it: the text, with a space before it, starts as
/// characters; the neighbours whose union scores best merge; a character that the vocabulary lacks is spelt as its bytes.
/// U+2581, by which it writes spaces, is a space in a text, too. Tokens 0, 1, 2 are unknown, begin and end.
/// </summary>
public sealed class LlamaTokenizer : Tokenizer
{
    private const int Unknown = 0, Begin = 1, End = 2;

    /// <summary>SentencePiece's symbol for a space.</summary>
    public const char SpaceSymbol = '\u2581';

    /// <summary>The tokens 0, 1, 2.</summary>
    internal static readonly IReadOnlyList<AddedToken> Controls = [new(Unknown, "<unk>"), new(Begin, "<s>"), new(End, "</s>")];

    private const int LongestPiece = 512;    // characters; each is cut at every position
    private readonly Dictionary<string, int> ids = [];
    private readonly int[] byteIds = new int[256];

    /// <param name="pieces">The tokens' texts by id; <c>&lt;0xNN&gt;</c> is a byte.</param>
    /// <param name="scores">The higher, the earlier a piece is merged; equal ones in order of id.</param>
    /// <param name="added">The tokens that a text may name; <see cref="Controls"/> where null.</param>
    /// <exception cref="InputException">A piece occurs twice or is too long, or a byte has none.</exception>
    internal LlamaTokenizer(IReadOnlyList<string> pieces, IReadOnlyList<float> scores, IReadOnlyList<AddedToken>? added = null)
        : base([.. pieces.Select(BytesOfPiece)], added ?? Controls, Begin, End)
    {
        Pieces = pieces;
        Array.Fill(byteIds, -1);
        var named = AddedTokens.Select(token => token.Id).ToHashSet();
        for (var id = End + 1; id < pieces.Count; id++)
        {
            if (named.Contains(id)) continue;
            if (pieces[id].Length > LongestPiece)
                throw new InputException($"token {id} has {pieces[id].Length} characters; expected {LongestPiece} at most");
            if (ByteOf(pieces[id]) is { } value) byteIds[value] = id;
            else if (!ids.TryAdd(pieces[id], id))
                throw new InputException($"the piece '{pieces[id]}' is both token {ids[pieces[id]]} and {id}");
        }
        if (Array.IndexOf(byteIds, -1) is >= 0 and var missing)
        {
            throw new InputException($"the vocabulary has no token <0x{missing:X2}>; all 256 bytes must be there");
        }

        Scores = new float[pieces.Count];
        var rank = 0;
        foreach (var (piece, id) in ids.OrderByDescending(piece => scores[piece.Value]).ThenBy(piece => piece.Value))
        {
            for (var cut = 1; cut < piece.Length; cut++)
            {
                if (ids.TryGetValue(piece[..cut], out var left) && ids.TryGetValue(piece[cut..], out var right))
                    Merges.Add(left, right, rank, id);
            }
            Scores[id] = -rank++;
        }
    }

    internal IReadOnlyList<string> Pieces { get; }

    internal MergeTable Merges { get; } = new();

    /// <summary>The merge priority of each id: the higher, the earlier; no two are equal.</summary>
    internal float[] Scores { get; }

    /// <summary>
    /// Reads the tokenizer file of llama2.c, little-endian: int32 length of the longest piece, then for every piece float32 score,
    /// int32 length, UTF-8 bytes.
    /// </summary>
    /// <exception cref="InputException">The file is missing or damaged.</exception>
    public static LlamaTokenizer FromLlama2C(string path)
    {
        byte[] file;
        try
        {
            file = WholeFile.Bytes(path, WholeFile.MostOfTable);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message}); expected a tokenizer of llama2.c, such as tok512.bin", e);
        }
        try
        {
            return ParseLlama2C(file);
        }
        catch (Exception e) when (e is ArgumentException or InputException)
        {
            throw new InputException($"{path}: not a whole tokenizer of llama2.c ({e.Message})", e);
        }
    }

    internal override string NameOf(int id) =>
        AddedTokens.FirstOrDefault(token => token.Id == id)?.Content ?? Pieces[id].Replace(' ', SpaceSymbol);

    /// <summary>Whether a token is a byte of a character that the vocabulary lacks.</summary>
    internal bool IsByte(int id) => Array.IndexOf(byteIds, id) >= 0;

    internal override ReadOnlySpan<byte> BytesOf(int id, int? previous)
    {
        var bytes = BytesOf(id);
        return previous == BeginOfText && bytes is [(byte)' ', ..] ? bytes[1..] : bytes;
    }

    private protected override void Encode(ReadOnlySpan<char> text, long position, List<int> result)
    {
        var symbols = new List<int>(text.Length);
        foreach (var character in text.EnumerateRunes()) AddSymbols(character, symbols);
        Merges.Apply(symbols.ToArray(), result);
    }

    private protected override ReadOnlySpan<char> Normalized(ReadOnlySpan<char> text) =>
        text.IsEmpty ? text : $" {text}".Replace(SpaceSymbol, ' ');

    // A text cannot be cut: a space is put before it, and merges cross words.
    private protected override int LastCut(ReadOnlySpan<char> text) => 0;

    private void AddSymbols(Rune character, List<int> symbols)
    {
        var text = character.ToString();
        if (ids.TryGetValue(text, out var id)) symbols.Add(id);
        else foreach (var value in Encoding.UTF8.GetBytes(text)) symbols.Add(byteIds[value]);
    }

    private static LlamaTokenizer ParseLlama2C(ReadOnlySpan<byte> file)
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        var (pieces, scores) = (new List<string>(), new List<float>());
        for (var rest = file[sizeof(int)..]; !rest.IsEmpty;)
        {
            scores.Add(BinaryPrimitives.ReadSingleLittleEndian(rest));
            var length = BinaryPrimitives.ReadInt32LittleEndian(rest[sizeof(float)..]);
            rest = rest[(sizeof(float) + sizeof(int))..];
            pieces.Add(utf8.GetString(rest[..length]));
            rest = rest[length..];
        }
        return new(pieces, scores);
    }

    private static byte[] BytesOfPiece(string piece, int id) =>
        id is Unknown or Begin or End ? [] : ByteOf(piece) is { } value ? [value] : Encoding.UTF8.GetBytes(piece);

    private static byte? ByteOf(string piece) =>
        piece is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(piece.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;
}
