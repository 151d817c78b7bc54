using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Files;

namespace Transformer.Tokenization;

/// <summary>
/// Hugging Face's tokenizer.json. Characters are a WordLevel model over single characters, words one over words separated by white space;
/// bytes are a byte-level BPE without merges; GPT-2 and Llama are written as that library itself writes them.
/// </summary>
internal static class TokenizerFileWriter
{
    /// <summary>SentencePiece's symbol for a space.</summary>
    public const char SpaceSymbol = '\u2581';
    private static readonly JsonWriterOptions Format = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(Tokenizer tokenizer, string path)
    {
        var json = tokenizer switch
        {
            CharacterTokenizer => Characters(tokenizer),
            WordTokenizer => Words(tokenizer),
            ByteTokenizer => ByteLevel(tokenizer, [], useRegex: false),
            BpeTokenizer bpe => ByteLevel(bpe, bpe.Merges.InOrder(), useRegex: true),
            LlamaTokenizer llama => Llama(llama),
            _ => throw new NotSupportedException($"{tokenizer.GetType().Name} has no file format"),
        };
        DurableFile.Write(path, stream =>
        {
            using var writer = new Utf8JsonWriter(stream, Format);
            json.WriteTo(writer);
        });
    }

    private static JsonObject Characters(Tokenizer tokenizer) => Document(
        preTokenizer: new JsonObject
        {
            ["type"] = "Split",
            ["pattern"] = new JsonObject { ["Regex"] = @"[\s\S]" },
            ["behavior"] = "Isolated",
            ["invert"] = false,
        },
        decoder: new JsonObject { ["type"] = "Fuse" },
        model: new JsonObject
        {
            ["type"] = "WordLevel",
            ["vocab"] = Vocabulary(tokenizer, Encoding.UTF8.GetString),
            ["unk_token"] = "<unk>"
        });

    // Without a decoder Hugging Face's library joins tokens by spaces.
    private static JsonObject Words(Tokenizer tokenizer) => Document(
        preTokenizer: new JsonObject { ["type"] = "WhitespaceSplit" },
        decoder: null,
        model: new JsonObject
        {
            ["type"] = "WordLevel",
            ["vocab"] = Vocabulary(tokenizer, Encoding.UTF8.GetString),
            ["unk_token"] = "<unk>"
        });

    private static JsonObject ByteLevel(Tokenizer tokenizer, IEnumerable<(int Left, int Right, int Merged)> merges, bool useRegex)
    {
        var step =
            new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = useRegex };
        return Document(
            preTokenizer: step,
            decoder: (JsonObject)step.DeepClone(),
            model: Bpe(
                Vocabulary(tokenizer, ByteSymbols.Write), merges.Select(merge => $"{Symbols(merge.Left)} {Symbols(merge.Right)}"),
                unknown: null),
            special: tokenizer.EndOfText is { } end ? [(end, Symbols(end))] : []);

        string Symbols(int id) => ByteSymbols.Write(tokenizer.BytesOf(id));
    }

    private static JsonObject Llama(LlamaTokenizer tokenizer)
    {
        string[] controls = ["<unk>", "<s>", "</s>"];
        var vocabulary = new JsonObject();
        for (var id = 0; id < tokenizer.VocabularySize; id++) vocabulary[id < controls.Length ? controls[id] : Piece(id)] = id;
        return Document(
            normalizer: Sequence("normalizers",
                new() { ["type"] = "Prepend", ["prepend"] = $"{SpaceSymbol}" },
                new() { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = " " }, ["content"] = $"{SpaceSymbol}" }),
            decoder: Sequence("decoders",
                new() { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = $"{SpaceSymbol}" }, ["content"] = " " },
                new() { ["type"] = "ByteFallback" },
                new() { ["type"] = "Fuse" },
                new() { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 }),
            model: Bpe(
                vocabulary, tokenizer.Merges.InOrder().Select(merge => $"{Piece(merge.Left)} {Piece(merge.Right)}"), unknown: controls[0]),
            special: [.. controls.Select((name, id) => (id, name))]);

        string Piece(int id) => tokenizer.Pieces[id].Replace(' ', SpaceSymbol);
    }

    private static JsonObject Document(
        JsonObject? decoder,
        JsonObject model,
        JsonObject? preTokenizer = null,
        JsonObject? normalizer = null,
        (int Id, string Name)[]? special = null) => new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. (special ?? []).Select(token => new JsonObject
        {
            ["id"] = token.Id,
            ["content"] = token.Name,
            ["single_word"] = false,
            ["lstrip"] = false,
            ["rstrip"] = false,
            ["normalized"] = false,
            ["special"] = true,
        })]),
            ["normalizer"] = normalizer,
            ["pre_tokenizer"] = preTokenizer,
            ["post_processor"] = null,
            ["decoder"] = decoder,
            ["model"] = model,
        };

    private static JsonObject Bpe(JsonObject vocabulary, IEnumerable<string> merges, string? unknown) => new()
    {
        ["type"] = "BPE",
        ["dropout"] = null,
        ["unk_token"] = unknown,
        ["continuing_subword_prefix"] = null,
        ["end_of_word_suffix"] = null,
        ["fuse_unk"] = unknown is not null,
        ["byte_fallback"] = unknown is not null,
        ["ignore_merges"] = false,
        ["vocab"] = vocabulary,
        ["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create(merge))]),
    };

    private static JsonObject Sequence(string name, params JsonObject[] steps) =>
        new() { ["type"] = "Sequence", [name] = new JsonArray(steps) };

    private delegate string TokenName(ReadOnlySpan<byte> bytes);

    private static JsonObject Vocabulary(Tokenizer tokenizer, TokenName name)
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < tokenizer.VocabularySize; id++) vocabulary[name(tokenizer.BytesOf(id))] = id;
        return vocabulary;
    }
}
