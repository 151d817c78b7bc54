using System.Text;
using Transformer.Configuration;

using Transformer.Tokenization;

namespace Transformer.Formats.Gguf;

/// <summary>
/// Tokenizers in the metadata of a GGUF file: SentencePiece's ("llama"), GPT-2's ("gpt2"), and single bytes or ASCII characters as "rwkv",
/// whose tokens are any bytes and which takes the longest one that fits: of tokens of one byte always that byte. It is also the only kind
/// without a token that ends a text.
/// </summary>
internal static class GgufTokenizer
{
    private const string Prefix = "tokenizer.ggml.";
    private const char SpaceSymbol = '\u2581';
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;    // token types

    /// <summary>The fields of a tokenizer.</summary>
    /// <param name="tokenizer">What makes the model's tokens.</param>
    /// <param name="vocabulary">The model's vocabulary; it is padded with unused tokens beyond the tokenizer's.</param>
    /// <exception cref="InputException">GGUF has no such tokenizer.</exception>
    public static IEnumerable<KeyValuePair<string, object>> Write(Tokenizer tokenizer, int vocabulary) => tokenizer switch
    {
        LlamaTokenizer llama => Llama(llama, vocabulary),
        BpeTokenizer bpe => Bpe(bpe, vocabulary),
        ByteTokenizer or CharacterTokenizer => Bytes(tokenizer, vocabulary),
        _ => throw new InputException($"GGUF has no tokenizer of this kind ({tokenizer.GetType().Name}). " +
            "Train with data.tokenizer.kind byte or bpe to export to GGUF."),
    };

    /// <summary>The tokenizer of a file, null where it has none.</summary>
    /// <exception cref="InputException">It is of a kind that is not known here, or damaged.</exception>
    public static Tokenizer? Read(GgufFields fields)
    {
        if (!fields.Has($"{Prefix}model")) return null;
        try
        {
            return fields.Text($"{Prefix}model") switch
            {
                "llama" => ReadLlama(fields),
                "gpt2" => ReadBpe(fields),
                "rwkv" => ReadBytes(fields),
                var other => throw fields.Bad($"{Prefix}model", $"found {other}, expected llama, gpt2, or rwkv with single bytes"),
            };
        }
        catch (InputException e) when (!e.Message.Contains(Prefix, StringComparison.Ordinal))
        {
            throw fields.Bad($"{Prefix}tokens", e.Message);
        }
    }

    private static IEnumerable<KeyValuePair<string, object>> Llama(LlamaTokenizer tokenizer, int vocabulary)
    {
        string[] special = ["<unk>", "<s>", "</s>"];
        yield return new($"{Prefix}model", "llama");
        yield return new(
            $"{Prefix}tokens",
            Padded(tokenizer, vocabulary, id => id < special.Length ? special[id] : tokenizer.Pieces[id].Replace(' ', SpaceSymbol)));
        yield return new(
            $"{Prefix}scores",
            Enumerable.Range(0, vocabulary).Select(id => id < tokenizer.VocabularySize ? tokenizer.Scores[id] : 0).ToArray());
        yield return new(
            $"{Prefix}token_type",
            Types(tokenizer, vocabulary, id => id == 0 ? Unknown : id < special.Length ? Control : tokenizer.IsByte(id) ? Byte : Normal));
        yield return new($"{Prefix}unknown_token_id", 0u);
        yield return new($"{Prefix}bos_token_id", (uint)tokenizer.BeginOfText!.Value);
        yield return new($"{Prefix}eos_token_id", (uint)tokenizer.EndOfText!.Value);
        yield return new($"{Prefix}add_bos_token", true);
        yield return new($"{Prefix}add_eos_token", false);
        yield return new($"{Prefix}add_space_prefix", true);
    }

    // llama.cpp always needs a token of this kind that ends a text: if the vocabulary has none, it is that
    // of the zero byte, which no text contains.
    private static IEnumerable<KeyValuePair<string, object>> Bpe(BpeTokenizer tokenizer, int vocabulary)
    {
        var end = (uint)(tokenizer.EndOfText ?? tokenizer.Encode("\0")[0]);
        yield return new($"{Prefix}model", "gpt2");
        yield return new($"{Prefix}pre", "gpt-2");
        yield return new($"{Prefix}tokens", Padded(tokenizer, vocabulary, Symbols));
        yield return new($"{Prefix}token_type", Types(tokenizer, vocabulary, id => id == tokenizer.EndOfText ? Control : Normal));
        yield return new(
            $"{Prefix}merges", tokenizer.Merges.InOrder().Select(merge => $"{Symbols(merge.Left)} {Symbols(merge.Right)}").ToArray());
        yield return new($"{Prefix}bos_token_id", end);
        yield return new($"{Prefix}eos_token_id", end);
        yield return new($"{Prefix}add_bos_token", false);
        yield return new($"{Prefix}add_eos_token", false);

        string Symbols(int id) => ByteSymbols.Write(tokenizer.BytesOf(id));
    }

    private static KeyValuePair<string, object>[] Bytes(Tokenizer tokenizer, int vocabulary)
    {
        if (tokenizer.VocabularySize != vocabulary)
            throw new InputException($"the model has {vocabulary} tokens, its tokenizer {tokenizer.VocabularySize}: " +
                "GGUF would take the others for text. Train with as many as there are.");
        if (Enumerable.Range(0, vocabulary).Any(id => tokenizer.BytesOf(id).Length != 1))
            throw new InputException("the tokenizer's characters go beyond ASCII: llama.cpp has none for them that is sure to end. " +
                "Train with data.tokenizer.kind byte or bpe to export to GGUF.");
        return
        [
            new($"{Prefix}model", "rwkv"),
            new($"{Prefix}tokens", Enumerable.Range(0, vocabulary).Select(id => Escaped(tokenizer.BytesOf(id)[0])).ToArray()),
            new($"{Prefix}add_bos_token", false),
            new($"{Prefix}add_eos_token", false),
        ];
    }

    private static LlamaTokenizer ReadLlama(GgufFields fields)
    {
        foreach (var (key, expected) in new[] { ("unknown_token_id", 0), ("bos_token_id", 1), ("eos_token_id", 2) })
            if (fields.Index($"{Prefix}{key}", absent: expected) is var found && found != expected)
                throw fields.Bad($"{Prefix}{key}", $"found {found}, expected {expected}");
        foreach (var (key, expected) in new[] { ("add_bos_token", true), ("add_eos_token", false), ("add_space_prefix", true) })
            if (fields.Flag($"{Prefix}{key}", absent: expected) != expected)
                throw fields.Bad($"{Prefix}{key}", $"found {!expected}, expected {expected}, as Llama has it");
        var tokens = fields.Array<string>($"{Prefix}tokens");
        float[] scores = [.. fields.Array<float>($"{Prefix}scores", tokens.Length)];
        var types = fields.Array<int>($"{Prefix}token_type", tokens.Length);
        if (Array.IndexOf(types, UserDefined) is >= 0 and var user)
            throw fields.Bad($"{Prefix}token_type", $"token {user} is user-defined, which this library does not know");
        for (var id = 0; id < scores.Length; id++)
            if (types[id] != Normal || float.IsNaN(scores[id])) scores[id] = float.NegativeInfinity;
        var count = WithoutPadding(types);
        return new([.. tokens.Take(count).Select(token => token.Replace(SpaceSymbol, ' '))], scores);
    }

    private static BpeTokenizer ReadBpe(GgufFields fields)
    {
        if (fields.Text($"{Prefix}pre") is not "gpt-2" and var pre) throw fields.Bad($"{Prefix}pre", $"found {pre}, expected gpt-2");
        if (fields.Flag($"{Prefix}add_bos_token", absent: false)) throw fields.Bad($"{Prefix}add_bos_token", "found true, expected false");
        var tokens = fields.Array<string>($"{Prefix}tokens");
        var count = fields.Has($"{Prefix}token_type") ? WithoutPadding(fields.Array<int>($"{Prefix}token_type", tokens.Length))
            : tokens.Length;
        var vocabulary = new Dictionary<string, int>();
        for (var id = 0; id < count; id++)
            if (!vocabulary.TryAdd(tokens[id], id))
                throw new InputException($"'{tokens[id]}' is both token {vocabulary[tokens[id]]} and {id}");
        return new BpeTokenizer(vocabulary, [.. fields.Array<string>($"{Prefix}merges").Select(BpeTokenizer.ParseMerge)]);
    }

    private static Tokenizer ReadBytes(GgufFields fields)
    {
        var tokens = Array.ConvertAll(fields.Array<string>($"{Prefix}tokens"), Unescaped);
        var foreign = Array.FindIndex(tokens, token => token is null);
        if (foreign >= 0) throw new InputException($"token {foreign} is not a single byte");
        if (tokens.Length == 256 && tokens.Select((token, id) => token == id).All(same => same)) return new ByteTokenizer();
        if (Array.FindIndex(tokens, token => token > 127) is >= 0 and var half)
            throw new InputException($"token {half} is half of a character");
        return new CharacterTokenizer([.. tokens.Select(token => new Rune(token!.Value))]);
    }

    private static string Escaped(byte value) => value is >= 0x20 and < 0x7F && value != (byte)'\\' ? $"{(char)value}" : $"\\x{value:x2}";

    private static int? Unescaped(string token) => token switch
    {
        ['\\', 'x', var high, var low] when char.IsAsciiHexDigit(high) && char.IsAsciiHexDigit(low) => Convert.ToInt32(token[2..], 16),
        "\\n" => '\n',
        "\\r" => '\r',
        "\\t" => '\t',
        ['\\', < (char)128 and var character] => character,
        [< (char)128 and var character] => character,
        _ => null,
    };

    private static string[] Padded(Tokenizer tokenizer, int vocabulary, Func<int, string> name) =>
        [.. Enumerable.Range(0, vocabulary).Select(id => id < tokenizer.VocabularySize ? name(id) : $"[PAD{id}]")];

    private static int[] Types(Tokenizer tokenizer, int vocabulary, Func<int, int> type) =>
        [.. Enumerable.Range(0, vocabulary).Select(id => id < tokenizer.VocabularySize ? type(id) : Unused)];

    private static int WithoutPadding(int[] types)
    {
        var count = types.Length;
        while (count > 0 && types[count - 1] == Unused) count--;
        return count;
    }
}
