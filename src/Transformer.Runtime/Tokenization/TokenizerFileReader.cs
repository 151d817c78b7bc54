using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Tokenization;

/// <summary>
/// Reads the kinds of tokenizer.json that <see cref="TokenizerFileWriter"/> writes, and Hugging Face's own of GPT-2 and Llama 2. Whatever
/// in it would make other tokens or another text, and is not done here, is refused by name.
/// </summary>
internal static class TokenizerFileReader
{
    // These say how a batch is cut or filled up, or where in the text a token stands; a caller's text has the same tokens.
    private static readonly string[] WithoutEffect = ["version", "truncation", "padding", "trim_offsets"];

    public static Tokenizer Read(string path, TokenizerSettings settings)
    {
        try
        {
            var file = JsonNode.Parse(WholeFile.Bytes(path, WholeFile.MostOfTable));
            return Parse(file?.AsObject() ?? throw new InputException("found null"), settings);
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

    private static Tokenizer Parse(JsonObject file, TokenizerSettings settings)
    {
        ExpectOnly(file, "", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model");
        var model = file["model"]?.AsObject() ?? throw new InputException("model: missing");
        var vocabulary = Vocabulary(model);
        var added = Added(file["added_tokens"]?.AsArray() ?? [], vocabulary, settings);
        var (normalizer, split) = (file["normalizer"], file["pre_tokenizer"]);
        var tokenizer = (Text(model, "type"), Text(split, "type")) switch
        {
            ("WordLevel", "Split") when normalizer is null => Characters(model, vocabulary, added, split!, file["decoder"]),
            ("WordLevel", "WhitespaceSplit") when normalizer is null => Words(model, vocabulary, added, split!, file["decoder"]),
            ("BPE", "ByteLevel") when normalizer is null => ByteLevel(model, vocabulary, added, split!, file["decoder"]),
            ("BPE", null) when Flag(model, "byte_fallback", absent: false) && normalizer?["normalizers"] is JsonArray =>
                Llama(model, vocabulary, added, normalizer, file["decoder"]),
            var (kind, other) => throw new InputException(
                $"found model {kind ?? "of no type"} with pre-tokenizer {other ?? "null"} and normalizer " +
                $"{Text(normalizer, "type") ?? "null"}; " +
                "known are single characters, words, bytes, GPT-2's and Llama 2's"),
        };
        return tokenizer.WithEnds(Begin(file["post_processor"], tokenizer, settings), tokenizer.EndTokens);
    }

    private static CharacterTokenizer Characters(
        JsonObject model, Dictionary<string, int> vocabulary, List<AddedToken> added, JsonNode split, JsonNode? decoder)
    {
        CheckWordLevel(model, vocabulary, added);
        Expect(split, "pre_tokenizer", ("pattern", """{"Regex":"[\\s\\S]"}"""), ("behavior", "\"Isolated\""), ("invert", "false"));
        if (decoder is not null) Expect(decoder, "decoder", ("type", "\"Fuse\""));
        return new([.. InOrder(vocabulary).Select(token =>
            Rune.TryGetRuneAt(token, 0, out var character) && character.Utf16SequenceLength == token.Length
                ? character
                : throw new InputException($"model.vocab: '{token}' is not a single character"))]);
    }

    private static WordTokenizer Words(
        JsonObject model, Dictionary<string, int> vocabulary, List<AddedToken> added, JsonNode split, JsonNode? decoder)
    {
        CheckWordLevel(model, vocabulary, added);
        ExpectOnly(split, "pre_tokenizer");
        if (decoder is not null) throw Bad("decoder", decoder, "null");
        return new(InOrder(vocabulary));
    }

    private static void CheckWordLevel(JsonObject model, Dictionary<string, int> vocabulary, List<AddedToken> added)
    {
        ExpectOnly(model, "model", "vocab", "unk_token");
        if (Text(model, "unk_token") is { } unknown && vocabulary.ContainsKey(unknown))
            throw new InputException($"model.unk_token: found '{unknown}', a token of the vocabulary for all that it lacks; " +
                "this library has no unknown token and refuses such texts");
        if (added.Count > 0)
            throw new InputException($"added_tokens: found '{added[0].Content}', expected none beside characters or words");
    }

    private static Tokenizer ByteLevel(
        JsonObject model, Dictionary<string, int> vocabulary, List<AddedToken> added, JsonNode split, JsonNode? decoder)
    {
        Expect(split, "pre_tokenizer", ("use_regex", null), ("add_prefix_space", "false"));
        if (Flag(split, "add_prefix_space", absent: true))
            throw new InputException("pre_tokenizer.add_prefix_space: found true, expected false");
        // All bytes have tokens, so that none is unknown.
        CheckBpe(model, ("ignore_merges", null), ("unk_token", null), ("fuse_unk", null), ("byte_fallback", null));
        if (decoder is not null)
            Expect(decoder, "decoder", ("type", "\"ByteLevel\""), ("add_prefix_space", null), ("use_regex", null));
        var merges = Merges(model);
        if (Flag(split, "use_regex", absent: true))
            return new BpeTokenizer(vocabulary, merges, added, Flag(model, "ignore_merges", absent: false));

        var isBytes = merges.Count == 0
            && vocabulary.Count == 256 && added.Count == 0
            && vocabulary.All(token => ByteSymbols.Read(token.Key) is [var value] && value == token.Value);
        return isBytes
            ? new ByteTokenizer()
            : throw new InputException("pre_tokenizer.use_regex: found false, expected true for a vocabulary that is not the 256 bytes");
    }

    private static LlamaTokenizer Llama(
        JsonObject model, Dictionary<string, int> vocabulary, List<AddedToken> added, JsonNode normalizer, JsonNode? decoder)
    {
        CheckBpe(model, ("ignore_merges", "false"), ("unk_token", null), ("fuse_unk", null), ("byte_fallback", "true"));
        CheckSteps(normalizer, "normalizer", "normalizers",
            $$"""{"type":"Prepend","prepend":"{{LlamaTokenizer.SpaceSymbol}}"}""",
            $$"""{"type":"Replace","pattern":{"String":" "},"content":"{{LlamaTokenizer.SpaceSymbol}}"}""");
        if (decoder is not null)
            CheckSteps(decoder, "decoder", "decoders",
                $$"""{"type":"Replace","pattern":{"String":"{{LlamaTokenizer.SpaceSymbol}}"},"content":" "}""",
                """{"type":"ByteFallback"}""",
                """{"type":"Fuse"}""",
                """{"type":"Strip","content":" ","start":1,"stop":0}""");
        foreach (var token in added) vocabulary[token.Content] = token.Id;
        var pieces = InOrder(vocabulary);
        if (pieces is not ["<unk>", "<s>", "</s>", ..])
            throw new InputException("model.vocab: expected <unk>, <s>, </s> as tokens 0, 1, 2");

        // The file has no scores; the order of the merges replaces them.
        var scores = new float[pieces.Length];
        Array.Fill(scores, float.NegativeInfinity);
        var merges = Merges(model);
        for (var rank = merges.Count - 1; rank >= 0; rank--)
        {
            var piece = merges[rank].Left + merges[rank].Right;
            scores[vocabulary.TryGetValue(piece, out var id) ? id
                : throw new InputException($"model.merges: '{piece}' is not in the vocabulary")] = -rank;
        }
        var named = added.Select(token => token.Id).ToHashSet();
        var tokenizer = new LlamaTokenizer(
            [.. pieces.Select((piece, id) => named.Contains(id) ? piece : piece.Replace(LlamaTokenizer.SpaceSymbol, ' '))], scores, added);
        // SentencePiece merges whatever makes a piece.
        var listed = merges.ToHashSet();
        foreach (var (left, right, _) in tokenizer.Merges.InOrder())
            if (!listed.Contains((tokenizer.NameOf(left), tokenizer.NameOf(right))))
                throw new InputException($"model.merges: '{tokenizer.NameOf(left)} {tokenizer.NameOf(right)}' is missing, " +
                    "though the vocabulary has both and the whole; Llama's merges are all that the vocabulary allows");
        return tokenizer;
    }

    // A template may put one token before a text, which then begins it; nothing else.
    private static int? Begin(JsonNode? processor, Tokenizer tokenizer, TokenizerSettings settings)
    {
        var steps = Text(processor, "type") == "Sequence" ? processor!["processors"]?.AsArray() ?? []
            : new JsonArray(processor?.DeepClone());
        var templates = steps.Where(step => step is not null && Text(step, "type") != "ByteLevel").ToList();
        if (templates.Count > 1 || templates.Any(step => Text(step, "type") != "TemplateProcessing"))
            throw new InputException($"post_processor: found {string.Join(", ", templates.Select(step => Text(step, "type")))}, " +
                "expected ByteLevel or TemplateProcessing");
        int? begin = templates is [var template] ? BeginOf(template!, tokenizer)
            : settings.IsGeneric || settings.AddsBegin is false ? null
            : tokenizer.BeginOfText;
        if (settings.AddsBegin is true)
            return tokenizer.AddedTokens.FirstOrDefault(token => token.Content == settings.Begin)?.Id
                ?? throw new InputException($"add_bos_token: found true, but bos_token {settings.Begin ?? "null"} is no token");
        if (settings.AddsBegin is false && begin is not null)
            return tokenizer is LlamaTokenizer ? null
                : throw new InputException("add_bos_token: found false, but post_processor puts a token before the text");
        return begin;
    }

    private static int? BeginOf(JsonNode template, Tokenizer tokenizer)
    {
        ExpectOnly(template, "post_processor", "single", "pair", "special_tokens");
        var single = template["single"]?.AsArray() ?? [];
        var names = single.TakeWhile(piece => piece?["SpecialToken"] is not null)
            .Select(piece => Text(piece!["SpecialToken"], "id")).ToList();
        if (single.Count != names.Count + 1 || single[^1]?["Sequence"] is null || names.Count > 1)
            throw new InputException($"post_processor.single: found {single.ToJsonString()}, expected the text, or one token and the text");
        if (names is not [{ } name]) return null;
        return template["special_tokens"]?[name]?["ids"] is JsonArray { Count: 1 } ids && (int?)ids[0] is { } id
            && (uint)id < (uint)tokenizer.VocabularySize ? id
            : throw new InputException($"post_processor.special_tokens: '{name}' is not one token of the vocabulary");
    }

    private static Dictionary<string, int> Vocabulary(JsonObject model) =>
        (model["vocab"]?.AsObject() ?? throw new InputException("model.vocab: missing")).ToDictionary(
            token => token.Key, token => (int?)token.Value ?? throw new InputException($"model.vocab: '{token.Key}' has no id"));

    // The file's, those that the files beside it list by id, and those that they name and that the vocabulary has.
    private static List<AddedToken> Added(JsonArray tokens, Dictionary<string, int> vocabulary, TokenizerSettings settings)
    {
        var added = new List<AddedToken>();
        foreach (var token in tokens)
        {
            if (token is null) throw new InputException("added_tokens: found null, expected a token");
            ExpectOnly(token, "added_tokens", "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
            var (content, id) = (Text(token, "content"), (int?)token?["id"]);
            if (content is null || id is null) throw new InputException("added_tokens: a token has no content or no id");
            if (vocabulary.TryGetValue(content, out var other) && other != id)
                throw new InputException($"added_tokens: '{content}' has id {id}, but is token {other} of the vocabulary");
            added.Add(AddedToken.Read(id.Value, content, key => Flag(token, key, absent: false)));
        }
        foreach (var token in settings.Added)
        {
            if (added.Find(known => known.Content == token.Content) is { } known)
            {
                if (known != token) throw new InputException($"added_tokens_decoder: '{token.Content}' differs from added_tokens");
            }
            else
            {
                added.Add(token);
            }
        }
        foreach (var name in settings.Names)
            if (added.TrueForAll(token => token.Content != name) && vocabulary.TryGetValue(name, out var id)) added.Add(new(id, name));
        return added;
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

    private static void CheckBpe(JsonObject model, params (string Key, string? Value)[] more) => Expect(
        model, "model",
        [
            ("vocab", null), ("merges", null), ("dropout", "0"), ("continuing_subword_prefix", "\"\""),
            ("end_of_word_suffix", "\"\""), .. more,
        ]);

    private static void CheckSteps(JsonNode node, string path, string key, params string[] steps)
    {
        Expect(node, path, ("type", "\"Sequence\""), (key, null));
        var expected = new JsonArray([.. steps.Select(step => JsonNode.Parse(step))]);
        if (!JsonNode.DeepEquals(node[key], expected)) throw Bad($"{path}.{key}", node[key], expected.ToJsonString());
    }

    private static void ExpectOnly(JsonNode node, string path, params string[] known) =>
        Expect(node, path, [.. known.Select(key => (key, (string?)null))]);

    // Each key is one of these, and has this value; null is any value. A key without a value has its default.
    private static void Expect(JsonNode node, string path, params (string Key, string? Value)[] known)
    {
        foreach (var (key, value) in node.AsObject())
        {
            if (value is null || WithoutEffect.Contains(key)) continue;
            var name = path.Length == 0 ? key : $"{path}.{key}";
            var (found, expected) = Array.Find(known, field => field.Key == key);
            if (found is null && key != "type")
                throw new InputException($"{name}: found {value.ToJsonString()}, which this library does not support");
            if (expected is not null && !JsonNode.DeepEquals(value, JsonNode.Parse(expected))) throw Bad(name, value, expected);
        }
    }

    private static InputException Bad(string name, JsonNode? found, string expected) =>
        new($"{name}: found {found?.ToJsonString() ?? "null"}, expected {expected}");

    private static string? Text(JsonNode? node, string key) => (string?)node?[key];

    private static bool Flag(JsonNode? node, string key, bool absent) => (bool?)node?[key] ?? absent;
}
