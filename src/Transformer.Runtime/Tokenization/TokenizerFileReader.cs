using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Tokenization;

/// <summary>
/// Reads the kinds of tokenizer.json that <see cref="TokenizerFileWriter"/> writes, and Hugging Face's own of GPT-2 and Llama 2.
/// </summary>
internal static class TokenizerFileReader
{
    public static Tokenizer Read(string path)
    {
        try
        {
            var file = JsonNode.Parse(WholeFile.Bytes(path, WholeFile.MostOfTable));
            return Parse(file?.AsObject() ?? throw new InputException("found null"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message}); expected a tokenizer.json", e);
        }
        catch (Exception e) when (e is JsonException or InputException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new InputException($"{path}: not a tokenizer.json of a kind known here ({JsonProblem.Of(e)})", e);
        }
    }

    private static Tokenizer Parse(JsonObject file)
    {
        var model = file["model"]?.AsObject() ?? throw new InputException("model: missing");
        var vocabulary = Vocabulary(model, file["added_tokens"]?.AsArray() ?? []);
        var (normalizer, preTokenizer) = (file["normalizer"], file["pre_tokenizer"]);
        return (Text(model, "type"), Text(preTokenizer, "type")) switch
        {
            ("WordLevel", "Split") when normalizer is null => Characters(vocabulary),
            ("WordLevel", "WhitespaceSplit") when normalizer is null => new WordTokenizer(InOrder(vocabulary)),
            ("BPE", "ByteLevel") when normalizer is null => ByteLevel(vocabulary, Merges(model), preTokenizer!),
            ("BPE", null) when Flag(model, "byte_fallback", absent: false) && PrependsSpace(normalizer) => Llama(vocabulary, Merges(model)),
            var (kind, split) => throw new InputException(
                $"found model {kind ?? "of no type"} with pre-tokenizer {split ?? "null"} and normalizer " +
                $"{Text(normalizer, "type") ?? "null"}; " +
                "known are single characters, words, bytes, GPT-2's and Llama 2's"),
        };
    }

    private static CharacterTokenizer Characters(Dictionary<string, int> vocabulary) => new([.. InOrder(vocabulary).Select(token =>
        Rune.TryGetRuneAt(token, 0, out var character) && character.Utf16SequenceLength == token.Length
            ? character
            : throw new InputException($"model.vocab: '{token}' is not a single character"))]);

    private static Tokenizer ByteLevel(Dictionary<string, int> vocabulary, List<(string Left, string Right)> merges, JsonNode split)
    {
        if (Flag(split, "add_prefix_space", absent: true))
            throw new InputException("pre_tokenizer.add_prefix_space: found true, expected false");
        if (Flag(split, "use_regex", absent: true)) return new BpeTokenizer(vocabulary, merges);

        var isBytes = merges.Count == 0
            && vocabulary.Count == 256
            && vocabulary.All(token => ByteSymbols.Read(token.Key) is [var value] && value == token.Value);
        return isBytes
            ? new ByteTokenizer()
            : throw new InputException("pre_tokenizer.use_regex: found false, expected true for a vocabulary that is not the 256 bytes");
    }

    private static LlamaTokenizer Llama(Dictionary<string, int> vocabulary, List<(string Left, string Right)> merges)
    {
        var pieces = InOrder(vocabulary);
        if (pieces is not ["<unk>", "<s>", "</s>", ..])
            throw new InputException("model.vocab: expected <unk>, <s>, </s> as tokens 0, 1, 2");

        // The file has no scores; the order of the merges replaces them.
        var scores = new float[pieces.Length];
        Array.Fill(scores, float.NegativeInfinity);
        for (var rank = merges.Count - 1; rank >= 0; rank--)
        {
            var piece = merges[rank].Left + merges[rank].Right;
            scores[vocabulary.TryGetValue(piece, out var id) ? id
                : throw new InputException($"model.merges: '{piece}' is not in the vocabulary")] = -rank;
        }
        return new([.. pieces.Select(piece => piece.Replace(TokenizerFileWriter.SpaceSymbol, ' '))], scores);
    }

    private static Dictionary<string, int> Vocabulary(JsonObject model, JsonArray added)
    {
        var vocabulary = (model["vocab"]?.AsObject() ?? throw new InputException("model.vocab: missing"))
            .ToDictionary(
                token => token.Key, token => (int?)token.Value ?? throw new InputException($"model.vocab: '{token.Key}' has no id"));
        foreach (var token in added)
        {
            var (content, id) = (Text(token, "content"), (int?)token?["id"]);
            if (content is null || id is null) throw new InputException("added_tokens: a token has no content or no id");
            vocabulary[content] = id.Value;
        }
        return vocabulary;
    }

    private static List<(string Left, string Right)> Merges(JsonObject model) =>
        [.. (model["merges"]?.AsArray() ?? throw new InputException("model.merges: missing"))
            .Select(merge => merge is JsonArray { Count: 2 } pair
            ? ((string)pair[0]!, (string)pair[1]!)
            : BpeTokenizer.ParseMerge((string?)merge ?? ""))];

    private static string[] InOrder(Dictionary<string, int> vocabulary)
    {
        var tokens = new string[vocabulary.Count];
        foreach (var (token, id) in vocabulary)
        {
            if (id < 0 || id >= tokens.Length || tokens[id] is not null)
            {
                throw new InputException($"model.vocab: '{token}' has id {id}, but each id from 0 to {tokens.Length - 1} must occur once");
            }
            tokens[id] = token;
        }
        return tokens;
    }

    private static bool PrependsSpace(JsonNode? normalizer) =>
        normalizer?["normalizers"] is JsonArray steps && steps.Select(step => Text(step, "type")).SequenceEqual(["Prepend", "Replace"]);

    private static string? Text(JsonNode? node, string key) => (string?)node?[key];

    private static bool Flag(JsonNode? node, string key, bool absent) => (bool?)node?[key] ?? absent;
}
