using System.Globalization;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Tokenization;

namespace Transformer.Formats;

/// <summary>
/// The tokenizer of a Hugging Face folder: tokenizer.json, and what tokenizer_config.json, config.json and generation_config.json say of
/// the tokens that begin and end a text. Fields that would change tokens and that this library does not follow are refused by name.
/// </summary>
public static class TokenizerFolder
{
    /// <summary>The tokenizer that a configuration asks for; one of a tokenizer.json with what stands beside it.</summary>
    /// <inheritdoc cref="Tokenizer.FromConfig"/>
    public static Tokenizer FromConfig(TokenizerConfig config, params IEnumerable<Func<TextReader>> texts) =>
        config is FileTokenizerConfig { Path: var path } && Path.GetFileName(path) == FileName ? Read(path)
            : Tokenizer.FromConfig(config, texts);

    internal const string FileName = "tokenizer.json", SettingsName = "tokenizer_config.json";
    private const string VocabularyName = "vocab.json", MergesName = "merges.txt", MapName = "special_tokens_map.json";
    private const string GenerationName = "generation_config.json";
    private const string BeginId = "bos_token_id", EndId = "eos_token_id";

    /// <summary>The files that <see cref="Write"/> writes.</summary>
    internal static readonly IReadOnlyList<string> Written = [FileName, SettingsName, GenerationName];

    // By these names a tokenizer_config.json has its special tokens.
    private static readonly string[] Roles =
        ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];

    // Settings that force or forbid tokens.
    private static readonly string[] Constraints =
    [
        "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "force_words_ids", "bad_words_ids",
        "sequence_bias", "exponential_decay_length_penalty", "constraints", "stop_strings", "watermarking_config",
    ];

    /// <summary>Whether a folder holds a tokenizer: a tokenizer.json, or GPT-2's vocab.json and merges.txt.</summary>
    public static bool Holds(string folder) => File.Exists(Path.Combine(folder, FileName))
        || (File.Exists(Path.Combine(folder, VocabularyName)) && File.Exists(Path.Combine(folder, MergesName)));

    /// <summary>Reads the tokenizer of a folder.</summary>
    /// <param name="path">The folder, or its tokenizer.json.</param>
    /// <param name="model">The folder of the model, whose config.json and generation_config.json name the tokens that end a text; that of
    /// the tokenizer where null.</param>
    /// <exception cref="InputException">A file is missing, damaged, or of a kind that is not known here.</exception>
    public static Tokenizer Read(string path, string? model = null)
    {
        var folder = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;
        var file = Directory.Exists(path) ? Path.Combine(path, FileName) : path;
        var (settings, config, generation) = (
            Settings(folder), Fields(model ?? folder, CheckpointConfig.FileName), Fields(model ?? folder, GenerationName));
        var tokenizer = File.Exists(file) || !Holds(folder)
            ? TokenizerFileReader.Read(file, Settings(settings))
            : Gpt2(folder, Settings(settings));
        foreach (var key in Constraints)
            if (generation?.Has(key) is true) throw generation.Bad(key, $"found {generation.Node(key)!.ToJsonString()}, expected null");

        var sources = new[] { generation, config }.OfType<JsonFields>().Where(fields => fields.Mentions(EndId)).ToList();
        var ends = sources.SelectMany(fields => Ids(fields, EndId)).ToList();
        if (settings.Mentions("eos_token"))
        {
            sources.Add(settings);
            if (tokenizer.AddedTokens.FirstOrDefault(token => token.Content == Content(settings, "eos_token")) is { } end) ends.Add(end.Id);
        }
        // An id that the tokenizer lacks is never chosen: small models are often written with the defaults of large ones.
        return sources.Count == 0 ? tokenizer
            : tokenizer.WithEnds(tokenizer.BeginOfText, [.. ends.Where(id => id < tokenizer.VocabularySize).Distinct()]);
    }

    /// <summary>Writes a tokenizer into a folder, as Hugging Face's libraries read it.</summary>
    /// <exception cref="InputException">A file cannot be written.</exception>
    internal static void Write(string folder, Tokenizer tokenizer)
    {
        tokenizer.Save(Path.Combine(folder, FileName));
        // Without a class of its own a folder gets that of its model, which makes other tokens.
        var settings = new JsonObject { ["tokenizer_class"] = "PreTrainedTokenizerFast", ["clean_up_tokenization_spaces"] = false };
        if (tokenizer.BeginOfText is { } begin) settings["bos_token"] = tokenizer.NameOf(begin);
        if (tokenizer.EndOfText is { } end) settings["eos_token"] = tokenizer.NameOf(end);
        if (tokenizer is LlamaTokenizer) settings["unk_token"] = tokenizer.NameOf(0);
        DurableFile.WriteJson(Path.Combine(folder, SettingsName), settings);
        var generation = new JsonObject();
        AddIds(generation, tokenizer);
        DurableFile.WriteJson(Path.Combine(folder, GenerationName), generation);
    }

    /// <summary>Adds the tokens that begin and end a text to a config.json, an explicit null where there is none.</summary>
    internal static void AddIds(JsonObject config, Tokenizer? tokenizer)
    {
        config[BeginId] = tokenizer?.BeginOfText;
        config[EndId] = tokenizer?.EndTokens switch
        {
            null or [] => null,
            [var end] => end,
            var several => new JsonArray([.. several.Select(end => JsonValue.Create(end))]),
        };
    }

    // Older folders have the special tokens in a file of their own.
    private static JsonFields Settings(string folder)
    {
        var settings = Fields(folder, SettingsName) ?? new JsonFields([], Path.Combine(folder, SettingsName));
        foreach (var (key, value) in Fields(folder, MapName)?.Json ?? [])
            if (!settings.Mentions(key)) settings.Json[key] = value?.DeepClone();
        return settings;
    }

    private static BpeTokenizer Gpt2(string folder, TokenizerSettings settings)
    {
        var tokenizer = BpeTokenizer.FromFiles(Path.Combine(folder, VocabularyName), Path.Combine(folder, MergesName));
        var more = settings.Names.Concat(settings.Added.Select(token => token.Content))
            .FirstOrDefault(name => tokenizer.AddedTokens.All(token => token.Content != name));
        if (more is not null || settings.AddsBegin is true || File.Exists(Path.Combine(folder, "added_tokens.json")))
            throw new InputException($"{folder}: tokens are added to {VocabularyName} and {MergesName}. Save it with a {FileName} " +
                "(AutoTokenizer's save_pretrained writes one).");
        return tokenizer;
    }

    private static TokenizerSettings Settings(JsonFields fields)
    {
        fields.Expect("add_eos_token", false);
        fields.Expect("split_special_tokens", false);
        if (fields.Has("auto_map")) throw fields.Bad("auto_map", "names code of its own, which this library does not run");
        var kind = fields.Text("tokenizer_class", absent: "");
        // Llama's puts a space before a text by itself, the others where they are told to.
        fields.Expect("add_prefix_space", expected: kind.Contains("Llama", StringComparison.Ordinal));
        return new()
        {
            Begin = Content(fields, "bos_token"),
            AddsBegin = fields.Has("add_bos_token") ? fields.Flag("add_bos_token", absent: false) : null,
            IsGeneric = kind is "PreTrainedTokenizerFast" or "TokenizersBackend",
            Added = [.. Added(fields)],
            Names =
            [
                .. Roles.Select(role => Content(fields, role)).OfType<string>(),
                .. ((string[])["additional_special_tokens", "extra_special_tokens"]).SelectMany(key => Contents(fields, key)),
            ],
        };
    }

    private static IEnumerable<AddedToken> Added(JsonFields fields)
    {
        if (fields.Object("added_tokens_decoder") is not { } tokens) yield break;
        foreach (var key in tokens.Keys)
        {
            var token = tokens.Object(key) ?? throw tokens.Bad(key, "found null, expected a token");
            if (!int.TryParse(key, CultureInfo.InvariantCulture, out var id)) throw tokens.Bad(key, "expected a token's id");
            yield return AddedToken.Read(id, token.Text("content"), key => token.Flag(key, absent: false));
        }
    }

    // A token is given by its content, or as an object with it.
    private static string? Content(JsonFields fields, string key) =>
        fields.Node(key) is JsonObject ? fields.Object(key)!.Text("content") : fields.Has(key) ? fields.Text(key) : null;

    private static IEnumerable<string> Contents(JsonFields fields, string key) => fields.Node(key) switch
    {
        JsonArray several => several.Select(
            one => Content(new JsonFields(new JsonObject { [key] = one?.DeepClone() }, fields.Origin), key)).OfType<string>(),
        JsonObject named => named.Select(pair => Content(fields.Object(key)!, pair.Key)).OfType<string>(),
        _ => [],
    };

    private static IEnumerable<int> Ids(JsonFields fields, string key)
    {
        if (fields.Node(key) is not JsonArray several) return fields.Has(key) ? [fields.Index(key)] : [];
        return several.Select(id => new JsonFields(new JsonObject { [key] = id?.DeepClone() }, fields.Origin).Index(key));
    }

    private static JsonFields? Fields(string folder, string name) =>
        Path.Combine(folder, name) is var path && File.Exists(path) ? JsonFields.Open(path) : null;
}
