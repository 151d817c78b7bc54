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

    // The tokens that end a text, the first of them first.
    private static readonly string[] EndKeys = ["eos_token_id", "eot_token_id", "eom_token_id"];

    private static readonly string[] Known =
    [
        "model", "pre", "tokens", "token_type", "scores", "merges", "bos_token_id", .. EndKeys, "unknown_token_id", "padding_token_id",
        "separator_token_id", "seperator_token_id", "cls_token_id", "mask_token_id", "add_bos_token", "add_eos_token", "add_space_prefix",
        "prefix_token_id", "suffix_token_id", "middle_token_id", "fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id",
        "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id",
    ];

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
        fields.ExpectOnly(Prefix, Known);
        if (fields.Flag($"{Prefix}add_eos_token", absent: false)) throw fields.Bad($"{Prefix}add_eos_token", "found true, expected false");
        try
        {
            var tokenizer = fields.Text($"{Prefix}model") switch
            {
                "llama" => ReadLlama(fields),
                "gpt2" => ReadBpe(fields),
                "rwkv" => ReadBytes(fields),
                var other => throw fields.Bad($"{Prefix}model", $"found {other}, expected llama, gpt2, or rwkv with single bytes"),
            };
            return tokenizer.WithEnds(Begin(fields, tokenizer), Ends(fields, tokenizer));
        }
        catch (InputException e) when (!e.Message.Contains(Prefix, StringComparison.Ordinal))
        {
            throw fields.Bad($"{Prefix}tokens", e.Message);
        }
    }

    private static int? Begin(GgufFields fields, Tokenizer tokenizer)
    {
        if (!fields.Flag($"{Prefix}add_bos_token", absent: tokenizer.BeginOfText is not null)) return null;
        var begin = fields.Index($"{Prefix}bos_token_id", absent: tokenizer.BeginOfText ?? tokenizer.VocabularySize);
        return begin < tokenizer.VocabularySize ? (int)begin
            : throw fields.Bad($"{Prefix}bos_token_id", "missing or no token, though add_bos_token puts it before each text");
    }

    private static int[] Ends(GgufFields fields, Tokenizer tokenizer)
    {
        var ends = EndKeys.Where(key => fields.Has($"{Prefix}{key}"))
            .Select(key => fields.Index($"{Prefix}{key}", absent: 0)).Where(id => id < tokenizer.VocabularySize).ToArray();
        // llama.cpp needs one; Bpe writes this where there is none.
        var none = tokenizer is BpeTokenizer bpe && ends is [var only] && bpe.BytesOf((int)only) is [0];
        return none ? [] : [.. (ends.Length == 0 ? tokenizer.EndTokens : ends.Select(id => (int)id)).Distinct()];
    }

    private static IEnumerable<KeyValuePair<string, object>> Llama(LlamaTokenizer tokenizer, int vocabulary)
    {
        CheckAdded(tokenizer);
        yield return new($"{Prefix}model", "llama");
        yield return new($"{Prefix}tokens", Padded(tokenizer, vocabulary, tokenizer.NameOf));
        yield return new(
            $"{Prefix}scores",
            Enumerable.Range(0, vocabulary).Select(id => id < tokenizer.VocabularySize ? tokenizer.Scores[id] : 0).ToArray());
        var types = AddedTypes(tokenizer);
        yield return new(
            $"{Prefix}token_type",
            Types(tokenizer, vocabulary, id =>
                id == 0 ? Unknown : types.TryGetValue(id, out var type) ? type : id < 3 ? Control : tokenizer.IsByte(id) ? Byte : Normal));
        yield return new($"{Prefix}unknown_token_id", 0u);
        yield return new($"{Prefix}bos_token_id", (uint)(tokenizer.BeginOfText ?? 1));
        foreach (var end in EndsOf(tokenizer, instead: 2)) yield return end;
        yield return new($"{Prefix}add_bos_token", tokenizer.BeginOfText is not null);
        yield return new($"{Prefix}add_eos_token", false);
        yield return new($"{Prefix}add_space_prefix", true);
    }

    // llama.cpp always needs a token of this kind that ends a text: if the vocabulary has none, it is that
    // of the zero byte, which no text contains.
    private static IEnumerable<KeyValuePair<string, object>> Bpe(BpeTokenizer tokenizer, int vocabulary)
    {
        CheckAdded(tokenizer);
        if (tokenizer.IgnoresMerges)
            throw new InputException("the tokenizer takes pieces that its vocabulary has as a whole without merging (ignore_merges), " +
                "which GGUF's gpt-2 does not. Take --format safetensors or onnx.");
        var types = AddedTypes(tokenizer);
        yield return new($"{Prefix}model", "gpt2");
        yield return new($"{Prefix}pre", "gpt-2");
        yield return new($"{Prefix}tokens", Padded(tokenizer, vocabulary, tokenizer.NameOf));
        yield return new($"{Prefix}token_type", Types(tokenizer, vocabulary, id => types.GetValueOrDefault(id, Normal)));
        yield return new(
            $"{Prefix}merges",
            tokenizer.Merges.InOrder().Select(merge => $"{tokenizer.NameOf(merge.Left)} {tokenizer.NameOf(merge.Right)}").ToArray());
        var zero = tokenizer.Encode("\0")[0];
        yield return new($"{Prefix}bos_token_id", (uint)(tokenizer.BeginOfText ?? tokenizer.EndOfText ?? zero));
        foreach (var end in EndsOf(tokenizer, instead: zero)) yield return end;
        yield return new($"{Prefix}add_bos_token", tokenizer.BeginOfText is not null);
        yield return new($"{Prefix}add_eos_token", false);
    }

    private static IEnumerable<KeyValuePair<string, object>> EndsOf(Tokenizer tokenizer, int instead)
    {
        int[] ends = tokenizer.EndTokens is [] ? [instead] : [.. tokenizer.EndTokens];
        if (ends.Length > EndKeys.Length)
            throw new InputException($"{ends.Length} tokens end a text, but GGUF has fields for {EndKeys.Length}. " +
                "Take --format safetensors or onnx.");
        return EndKeys.Zip(ends, (key, end) => KeyValuePair.Create($"{Prefix}{key}", (object)(uint)end));
    }

    // llama.cpp finds added tokens by their contents, and nothing around them.
    private static void CheckAdded(Tokenizer tokenizer)
    {
        if (tokenizer.AddedTokens.FirstOrDefault(token => token.SingleWord || token.LeftStrip || token.RightStrip) is { } token)
            throw new InputException($"the added token '{token.Content}' has single_word, lstrip or rstrip, which GGUF cannot express. " +
                "Take --format safetensors or onnx.");
    }

    private static Dictionary<int, int> AddedTypes(Tokenizer tokenizer) =>
        tokenizer.AddedTokens.ToDictionary(token => token.Id, token => token.Special ? Control : UserDefined);

    private static List<AddedToken> Added(string[] tokens, int[] types) =>
    [
        .. tokens.Select((content, id) => new AddedToken(id, content) { Special = types[id] != UserDefined })
            .Where(token => types[token.Id] is Unknown or Control or UserDefined && token.Content.Length > 0),
    ];

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
            new($"{Prefix}token_type", Types(tokenizer, vocabulary, _ => Normal)),
            // llama.cpp tries characters while it loads a file, and ends where one has no token.
            new($"{Prefix}unknown_token_id", 0u),
            new($"{Prefix}add_bos_token", false),
            new($"{Prefix}add_eos_token", false),
        ];
    }

    private static LlamaTokenizer ReadLlama(GgufFields fields)
    {
        if (fields.Index($"{Prefix}unknown_token_id", absent: 0) is not 0 and var unknown)
            throw fields.Bad($"{Prefix}unknown_token_id", $"found {unknown}, expected 0");
        if (!fields.Flag($"{Prefix}add_space_prefix", absent: true))
            throw fields.Bad($"{Prefix}add_space_prefix", "found False, expected True, as Llama has it");
        var tokens = fields.Array<string>($"{Prefix}tokens");
        float[] scores = [.. fields.Array<float>($"{Prefix}scores", tokens.Length)];
        var types = fields.Array<int>($"{Prefix}token_type", tokens.Length);
        for (var id = 0; id < scores.Length; id++)
            if (types[id] != Normal || float.IsNaN(scores[id])) scores[id] = float.NegativeInfinity;
        var count = WithoutPadding(types);
        var added = Added(tokens[..count], types);
        var named = added.Select(token => token.Id).ToHashSet();
        return new(
            [.. tokens.Take(count).Select((token, id) => named.Contains(id) ? token : token.Replace(LlamaTokenizer.SpaceSymbol, ' '))],
            scores, added);
    }

    private static BpeTokenizer ReadBpe(GgufFields fields)
    {
        if (fields.Text($"{Prefix}pre") is not "gpt-2" and var pre) throw fields.Bad($"{Prefix}pre", $"found {pre}, expected gpt-2");
        if (fields.Flag($"{Prefix}add_space_prefix", absent: false))
            throw fields.Bad($"{Prefix}add_space_prefix", "found True, expected False");
        var tokens = fields.Array<string>($"{Prefix}tokens");
        var types = fields.Has($"{Prefix}token_type") ? fields.Array<int>($"{Prefix}token_type", tokens.Length)
            : [.. tokens.Select(_ => Normal)];
        var count = WithoutPadding(types);
        var vocabulary = new Dictionary<string, int>();
        for (var id = 0; id < count; id++)
            if (!vocabulary.TryAdd(tokens[id], id))
                throw new InputException($"'{tokens[id]}' is both token {vocabulary[tokens[id]]} and {id}");
        return new BpeTokenizer(
            vocabulary, [.. fields.Array<string>($"{Prefix}merges").Select(BpeTokenizer.ParseMerge)], Added(tokens[..count], types));
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
