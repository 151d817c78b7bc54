using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Tests.Tokenization;
using Transformer.Tokenization;

namespace Transformer.Tests.Formats;

/// <summary>
/// Every field of a tokenizer's files that makes other tokens, or ends a text elsewhere, is followed or refused by name.
/// </summary>
public sealed class TokenizerFolderTests : IDisposable
{
    private const string Text = "the cat </s> \u2581th é  ";

    // What a field with this value does: the value is refused, the tokens of a text or its begin and end are others, or nothing.
    private const string Refused = "refused", Followed = "followed", Nothing = "nothing";

    private const string Token = """
        {"id": 260, "content": "</s>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true}
        """;

    private const string Template = """
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [], "special_tokens": {"</s>": {"id": "</s>", "ids": [260], "tokens": ["</s>"]}}}
        """;

    private const string After = """
        {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
         "pair": [], "special_tokens": {"</s>": {"id": "</s>", "ids": [260], "tokens": ["</s>"]}}}
        """;

    private static readonly (string File, string Field, string Value, string Effect)[] Bpe =
    [
        ("tokenizer.json", "version", "\"2.0\"", Nothing),
        ("tokenizer.json", "truncation", """{"max_length": 2, "direction": "Right", "strategy": "LongestFirst", "stride": 0}""", Nothing),
        ("tokenizer.json", "padding", """{"strategy": {"Fixed": 99}}""", Nothing),
        ("tokenizer.json", "added_tokens", $"[{Token}]", Followed),
        ("tokenizer.json", "normalizer", """{"type": "NFC"}""", Refused),
        ("tokenizer.json", "normalizer", """{"type": "Lowercase"}""", Refused),
        ("tokenizer.json", "pre_tokenizer", "null", Refused),
        ("tokenizer.json", "pre_tokenizer", """{"type": "Sequence", "pretokenizers": []}""", Refused),
        ("tokenizer.json", "pre_tokenizer.add_prefix_space", "true", Refused),
        ("tokenizer.json", "pre_tokenizer.trim_offsets", "false", Nothing),
        ("tokenizer.json", "pre_tokenizer.use_regex", "false", Refused),
        ("tokenizer.json", "pre_tokenizer.individual_digits", "true", Refused),
        ("tokenizer.json", "post_processor", Template, Followed),
        ("tokenizer.json", "post_processor", $$"""{"type": "Sequence", "processors": [{"type": "ByteLevel"}, {{Template}}]}""", Followed),
        ("tokenizer.json", "post_processor", """{"type": "ByteLevel", "trim_offsets": false}""", Nothing),
        ("tokenizer.json", "post_processor", After, Refused),
        ("tokenizer.json", "post_processor", """{"type": "RobertaProcessing", "sep": ["</s>", 260], "cls": ["</s>", 260]}""", Refused),
        ("tokenizer.json", "decoder", """{"type": "WordPiece"}""", Refused),
        ("tokenizer.json", "decoder.add_prefix_space", "false", Nothing),
        ("tokenizer.json", "decoder.trim_offsets", "false", Nothing),
        ("tokenizer.json", "decoder.use_regex", "false", Nothing),
        ("tokenizer.json", "model.type", "\"Unigram\"", Refused),
        ("tokenizer.json", "model.dropout", "0.5", Refused),
        ("tokenizer.json", "model.dropout", "0.0", Nothing),
        ("tokenizer.json", "model.unk_token", "\"the\"", Nothing),
        ("tokenizer.json", "model.continuing_subword_prefix", "\"##\"", Refused),
        ("tokenizer.json", "model.continuing_subword_prefix", "\"\"", Nothing),
        ("tokenizer.json", "model.end_of_word_suffix", "\"</w>\"", Refused),
        ("tokenizer.json", "model.fuse_unk", "true", Nothing),
        ("tokenizer.json", "model.byte_fallback", "true", Nothing),
        ("tokenizer.json", "model.ignore_merges", "true", Followed),
        ("tokenizer.json", "model.max_input_chars_per_word", "3", Refused),
        ("tokenizer.json", "model.merges", """["t h"]""", Followed),
        ("tokenizer.json", "model.vocab", """{"a": 0}""", Refused),
        ("tokenizer.json", "other", "1", Refused),
        ("tokenizer_config.json", "eos_token", "\"</s>\"", Followed),
        ("tokenizer_config.json", "eos_token", """{"content": "</s>", "lstrip": false}""", Followed),
        ("tokenizer_config.json", "eos_token", "\"<none>\"", Nothing),
        ("tokenizer_config.json", "pad_token", "\"</s>\"", Followed),
        ("tokenizer_config.json", "additional_special_tokens", """["</s>"]""", Followed),
        ("tokenizer_config.json", "extra_special_tokens", """{"image_token": "</s>"}""", Followed),
        ("tokenizer_config.json", "added_tokens_decoder", """{"260": {"content": "</s>", "special": true}}""", Followed),
        ("tokenizer_config.json", "add_bos_token", "true", Refused),
        ("tokenizer_config.json", "add_bos_token", "false", Nothing),
        ("tokenizer_config.json", "add_eos_token", "true", Refused),
        ("tokenizer_config.json", "add_prefix_space", "true", Refused),
        ("tokenizer_config.json", "split_special_tokens", "true", Refused),
        ("tokenizer_config.json", "auto_map", """{"AutoTokenizer": ["x.X", null]}""", Refused),
        ("tokenizer_config.json", "tokenizer_class", "\"GPT2Tokenizer\"", Nothing),
        ("tokenizer_config.json", "model_max_length", "5", Nothing),
        ("tokenizer_config.json", "clean_up_tokenization_spaces", "true", Nothing),
        ("special_tokens_map.json", "eos_token", "\"</s>\"", Followed),
        ("generation_config.json", "eos_token_id", "260", Followed),
        ("generation_config.json", "eos_token_id", "[259, 260]", Followed),
        ("generation_config.json", "eos_token_id", "50256", Nothing),
        ("generation_config.json", "eos_token_id", "-1", Refused),
        ("generation_config.json", "bos_token_id", "260", Nothing),
        ("generation_config.json", "temperature", "0.5", Nothing),
        ("generation_config.json", "suppress_tokens", "[1]", Refused),
        ("generation_config.json", "begin_suppress_tokens", "[1]", Refused),
        ("generation_config.json", "forced_bos_token_id", "1", Refused),
        ("generation_config.json", "forced_eos_token_id", "1", Refused),
        ("generation_config.json", "bad_words_ids", "[[1]]", Refused),
        ("generation_config.json", "stop_strings", """["x"]""", Refused),
        ("config.json", "eos_token_id", "260", Followed),
        ("config.json", "eos_token_id", "[259, 260]", Followed),
        ("config.json", "eos_token_id", "null", Nothing),
        ("config.json", "eos_token_id", "true", Refused),
        ("config.json", "bos_token_id", "260", Nothing),
    ];

    private static readonly (string File, string Field, string Value, string Effect)[] Llama =
    [
        ("tokenizer.json", "normalizer", "null", Refused),
        ("tokenizer.json", "normalizer.normalizers", """[{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]""", Refused),
        (
            "tokenizer.json", "normalizer.normalizers",
            """[{"type": "Prepend", "prepend": "_"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]""", Refused
        ),
        ("tokenizer.json", "pre_tokenizer", """{"type": "Metaspace", "replacement": "\u2581"}""", Refused),
        (
            "tokenizer.json", "post_processor",
            """
            {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {}}
            """, Followed
        ),
        ("tokenizer.json", "decoder", """{"type": "Fuse"}""", Refused),
        ("tokenizer.json", "decoder.decoders", """[{"type": "ByteFallback"}]""", Refused),
        ("tokenizer.json", "model.byte_fallback", "false", Refused),
        ("tokenizer.json", "model.ignore_merges", "true", Refused),
        ("tokenizer.json", "model.dropout", "0.1", Refused),
        ("tokenizer.json", "model.merges", "[]", Refused),
        ("tokenizer.json", "added_tokens", "[]", Followed),
        ("tokenizer_config.json", "tokenizer_class", "\"LlamaTokenizer\"", Nothing),
        ("tokenizer_config.json", "add_bos_token", "false", Followed),
        ("tokenizer_config.json", "add_prefix_space", "false", Nothing),
        ("tokenizer_config.json", "add_eos_token", "true", Refused),
        ("config.json", "eos_token_id", "[2, 5]", Followed),
    ];

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string, string, string, string> BpeFields => [.. Bpe];

    public static TheoryData<string, string, string, string> LlamaFields => [.. Llama];

    public void Dispose() => folder.Dispose();

    [Theory, MemberData(nameof(BpeFields))]
    public void A_field_of_byte_pairs_is_followed_or_refused(string file, string field, string value, string effect) =>
        Check(Golden.PathOf("faults/tokenizer-fields/bpe-bos/tokenizer.json"), file, field, value, effect);

    [Theory, MemberData(nameof(LlamaFields))]
    public void A_field_of_Llamas_is_followed_or_refused(string file, string field, string value, string effect)
    {
        TokenizerGoldens.Stories.Save(folder["llama.json"]);
        Check(folder["llama.json"], file, field, value, effect);
    }

    [Fact]
    public void The_table_has_every_field_of_the_file()
    {
        var file = JsonNode.Parse(File.ReadAllBytes(Golden.PathOf("faults/tokenizer-fields/bpe-bos/tokenizer.json")))!;
        var fields = Fields("", file.AsObject());
        Assert.Empty(fields.Except(Bpe.Where(row => row.File == "tokenizer.json").Select(row => row.Field)));

        static IEnumerable<string> Fields(string path, JsonObject json) => json.SelectMany(pair => pair.Value switch
        {
            JsonObject inner when pair.Key is "model" or "pre_tokenizer" or "decoder" =>
                Fields($"{path}{pair.Key}.", inner).Where(field => field is not ("pre_tokenizer.type" or "decoder.type")),
            _ => [$"{path}{pair.Key}"],
        });
    }

    // Whatever stands in place of any value, it is read or refused.
    [Theory]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer_config.json")]
    [InlineData("generation_config.json")]
    public void Any_value_in_any_place_is_read_or_refused(string file)
    {
        var tokenizer = JsonNode.Parse(File.ReadAllBytes(Golden.PathOf("faults/tokenizer-fields/bpe-bos/tokenizer.json")))!;
        tokenizer["added_tokens"] = JsonNode.Parse($"[{Token}]");
        folder.Write("tokenizer.json", tokenizer.ToJsonString());
        var valid = file switch
        {
            "tokenizer.json" => tokenizer,
            "tokenizer_config.json" => JsonNode.Parse("""
                {"eos_token": "</s>", "bos_token": {"content": "</s>"}, "add_bos_token": true, "additional_special_tokens": ["</s>"],
                 "extra_special_tokens": {"a": "</s>"}, "tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"260":
                 {"content": "</s>", "lstrip": true, "rstrip": false, "single_word": false, "normalized": false, "special": true}}}
                """)!,
            _ => JsonNode.Parse("""{"eos_token_id": [1, 260], "bos_token_id": 1, "suppress_tokens": null}""")!,
        };
        folder.Write(file, valid.ToJsonString());
        Assert.Equal(260, TokenizerFolder.Read(folder.Path).BeginOfText);
        var places = Places(valid).ToList();
        foreach (var path in places)
        {
            foreach (var value in (string[])["null", "7", "-1", "1e99", "\"x\"", "true", "[]", "[null]", "{}", """{"x": null}"""])
            {
                var changed = valid.DeepClone();
                var parent = path[..^1].Aggregate(changed, (node, key) => key is int at ? node[at]! : node[(string)key]!);
                if (path[^1] is int index) parent[index] = JsonNode.Parse(value);
                else parent[(string)path[^1]] = JsonNode.Parse(value);
                folder.Write(file, changed.ToJsonString());
                try
                {
                    TokenizerFolder.Read(folder.Path);
                }
                catch (InputException) { }
            }
        }

        static IEnumerable<object[]> Places(JsonNode? node) => node switch
        {
            JsonObject fields => fields.Take(40).SelectMany(
                pair => Places(pair.Value).Select(rest => (object[])[pair.Key, .. rest]).Prepend([pair.Key])),
            JsonArray items => items.SelectMany((item, at) => Places(item).Select(rest => (object[])[at, .. rest]).Prepend([at])),
            _ => [],
        };
    }

    // The ids are those of Hugging Face's tokenizers.
    [Fact]
    public void Pieces_that_the_vocabulary_has_and_a_token_before_the_text_are_as_the_file_says()
    {
        var ignoring = TokenizerFolder.Read(Golden.PathOf("faults/tokenizer-fields/bpe-ignore"));
        Assert.Equal([257, 259, 259, 258], ignoring.Encode("the cat cat the"));
        var begun = TokenizerFolder.Read(Golden.PathOf("faults/tokenizer-fields/bpe-bos"));
        Assert.Equal(260, begun.BeginOfText);
        Assert.Equal([257, 32, 99, 97, 116, 32, 60, 47, 115, 62], begun.Encode("the cat </s>"));
    }

    [Fact]
    public void All_ends_are_kept_with_the_tokenizer()
    {
        var tokenizer = TokenizerFolder.Read(Golden.PathOf("faults/added-tokens"));
        Assert.Equal([258], tokenizer.EndTokens);
        TokenizerFolder.Write(folder.Path, tokenizer.WithEnds(257, [258, 259]));
        var read = TokenizerFolder.Read(folder.Path);
        Assert.Equal((257, "258 259"), (read.BeginOfText, string.Join(' ', read.EndTokens)));
        Assert.Equal(tokenizer.AddedTokens, read.AddedTokens);
    }

    private void Check(string tokenizer, string file, string field, string value, string effect)
    {
        File.Copy(tokenizer, folder["tokenizer.json"]);
        var json = JsonNode.Parse(File.ReadAllBytes(tokenizer))!;
        json["post_processor"] = json["post_processor"]?["single"]?[0]?["SpecialToken"]?["id"]?.ToString() == "</s>" ? null
            : json["post_processor"]?.DeepClone();
        folder.Write("tokenizer.json", json.ToJsonString());
        var before = Told(TokenizerFolder.Read(folder.Path));
        var target = file == "tokenizer.json" ? json : new JsonObject();
        var path = field.Split('.');
        path[..^1].Aggregate(target, (node, key) => node[key]!)[path[^1]] = JsonNode.Parse(value);
        folder.Write(file, target.ToJsonString());
        if (effect == Refused)
        {
            var message = Assert.Throws<InputException>(() => TokenizerFolder.Read(folder.Path)).Message;
            Assert.True(message.Contains(path[^1], StringComparison.Ordinal) || message.Contains(path[0], StringComparison.Ordinal)
                || message.Contains(path[^1].Replace('_', '-'), StringComparison.Ordinal), $"{field} is not named: {message}");
            return;
        }
        var after = Told(TokenizerFolder.Read(folder.Path));
        if (effect == Nothing) Assert.Equal(before, after);
        else Assert.NotEqual(before, after);
    }

    private static string Told(Tokenizer tokenizer) =>
        $"{string.Join(' ', tokenizer.Encode(Text))}; begin {tokenizer.BeginOfText}, ends {string.Join(' ', tokenizer.EndTokens)}";
}
