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
    private static readonly JsonWriterOptions Format = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(Tokenizer tokenizer, string path)
    {
        var json = tokenizer switch
        {
            CharacterTokenizer => Characters(tokenizer),
            WordTokenizer => Words(tokenizer),
            ByteTokenizer => ByteLevel(tokenizer, [], useRegex: false),
            BpeTokenizer bpe => ByteLevel(bpe, bpe.Merges.InOrder(), useRegex: true, bpe.IgnoresMerges),
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
        tokenizer,
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
            ["vocab"] = Vocabulary(tokenizer),
            ["unk_token"] = "<unk>"
        });

    // Without a decoder Hugging Face's library joins tokens by spaces.
    private static JsonObject Words(Tokenizer tokenizer) => Document(
        tokenizer,
        preTokenizer: new JsonObject { ["type"] = "WhitespaceSplit" },
        decoder: null,
        model: new JsonObject
        {
            ["type"] = "WordLevel",
            ["vocab"] = Vocabulary(tokenizer),
            ["unk_token"] = "<unk>"
        });

    private static JsonObject ByteLevel(
        Tokenizer tokenizer, IEnumerable<(int Left, int Right, int Merged)> merges, bool useRegex, bool ignoresMerges = false)
    {
        var step =
            new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = useRegex };
        return Document(
            tokenizer,
            preTokenizer: step,
            decoder: (JsonObject)step.DeepClone(),
            model: Bpe(tokenizer, merges, unknown: null, ignoresMerges));
    }

    private static JsonObject Llama(LlamaTokenizer tokenizer) => Document(
        tokenizer,
        normalizer: Sequence("normalizers",
            new() { ["type"] = "Prepend", ["prepend"] = $"{LlamaTokenizer.SpaceSymbol}" },
            new() { ["type"] = "Replace", ["pattern"] = Exactly(" "), ["content"] = $"{LlamaTokenizer.SpaceSymbol}" }),
        decoder: Sequence("decoders",
            new() { ["type"] = "Replace", ["pattern"] = Exactly($"{LlamaTokenizer.SpaceSymbol}"), ["content"] = " " },
            new() { ["type"] = "ByteFallback" },
            new() { ["type"] = "Fuse" },
            new() { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 }),
        model: Bpe(tokenizer, tokenizer.Merges.InOrder(), unknown: tokenizer.NameOf(0)));

    private static JsonObject Exactly(string text) => new() { ["String"] = text };

    private static JsonObject Document(
        Tokenizer tokenizer, JsonObject? decoder, JsonObject model, JsonObject? preTokenizer = null, JsonObject? normalizer = null) => new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. tokenizer.AddedTokens.OrderBy(token => token.Id).Select(token => new JsonObject
        {
            ["id"] = token.Id,
            ["content"] = token.Content,
            ["single_word"] = token.SingleWord,
            ["lstrip"] = token.LeftStrip,
            ["rstrip"] = token.RightStrip,
            ["normalized"] = token.Normalized,
            ["special"] = token.Special,
        })]),
            ["normalizer"] = normalizer,
            ["pre_tokenizer"] = preTokenizer,
            ["post_processor"] = tokenizer.BeginOfText is { } begin ? Template(begin, tokenizer.NameOf(begin)) : null,
            ["decoder"] = decoder,
            ["model"] = model,
        };

    // A text, or two of them, each with the token that begins a text before it.
    private static JsonObject Template(int begin, string name)
    {
        return new()
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray([.. Part("A", 0)]),
            ["pair"] = new JsonArray([.. Part("A", 0), .. Part("B", 1)]),
            ["special_tokens"] = new JsonObject
            {
                [name] = new JsonObject { ["id"] = name, ["ids"] = new JsonArray(begin), ["tokens"] = new JsonArray(name) },
            },
        };

        JsonObject[] Part(string sequence, int type) =>
        [
            new() { ["SpecialToken"] = new JsonObject { ["id"] = name, ["type_id"] = type } },
            new() { ["Sequence"] = new JsonObject { ["id"] = sequence, ["type_id"] = type } },
        ];
    }

    private static JsonObject Bpe(
        Tokenizer tokenizer, IEnumerable<(int Left, int Right, int Merged)> merges, string? unknown, bool ignoresMerges = false) => new()
        {
            ["type"] = "BPE",
            ["dropout"] = null,
            ["unk_token"] = unknown,
            ["continuing_subword_prefix"] = null,
            ["end_of_word_suffix"] = null,
            ["fuse_unk"] = unknown is not null,
            ["byte_fallback"] = unknown is not null,
            ["ignore_merges"] = ignoresMerges,
            ["vocab"] = Vocabulary(tokenizer),
            ["merges"] = new JsonArray(
                [.. merges.Select(merge => JsonValue.Create($"{tokenizer.NameOf(merge.Left)} {tokenizer.NameOf(merge.Right)}"))]),
        };

    private static JsonObject Sequence(string name, params JsonObject[] steps) =>
        new() { ["type"] = "Sequence", [name] = new JsonArray(steps) };

    private static JsonObject Vocabulary(Tokenizer tokenizer)
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < tokenizer.VocabularySize; id++) vocabulary[tokenizer.NameOf(id)] = id;
        return vocabulary;
    }
}
