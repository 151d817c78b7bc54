using System.Text;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Formats;

/// <summary>
/// The template by which a conversation becomes a prompt (Jinja, as Hugging Face's libraries have it). It is copied verbatim from format to
/// format with its model. Of several templates, for tools or retrieval for instance, it is the one called default.
/// </summary>
internal static class ChatTemplate
{
    /// <summary>The file that holds the text alone.</summary>
    public const string FileName = "chat_template.jinja";

    private const string ConfigName = TokenizerFolder.SettingsName, Key = "chat_template", Default = "default";
    private const long LongestFile = 1 << 20;

    /// <summary>
    /// The template of a folder: its file or else, as older versions of Hugging Face's libraries write it, that in tokenizer_config.json;
    /// null where there is none.
    /// </summary>
    /// <exception cref="InputException">It cannot be read or is no text.</exception>
    public static string? Read(string folder)
    {
        var (file, config) = (Path.Combine(folder, FileName), Path.Combine(folder, ConfigName));
        return File.Exists(file) ? ReadText(file) : File.Exists(config) ? ReadConfig(JsonFields.Open(config)) : null;
    }

    /// <summary>Writes a template, if there is one, into a folder.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string folder, string? template)
    {
        if (template is not null) DurableFile.WriteText(Path.Combine(folder, FileName), template);
    }

    private static string ReadText(string path)
    {
        try
        {
            return WholeFile.Text(path, LongestFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DecoderFallbackException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message}), expected a chat template in UTF-8", e);
        }
    }

    private static string? ReadConfig(JsonFields config) => config.Node(Key) switch
    {
        JsonArray several => several.OfType<JsonObject>().Select(named => new JsonFields(named, $"{config.Origin}: {Key}"))
            .FirstOrDefault(named => named.Text("name", absent: "") == Default)?.Text("template"),
        null => null,
        _ => config.Text(Key),
    };
}
