using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Generation;

namespace Transformer.Data;

/// <summary>A text with pictures and what is to be said of it.</summary>
/// <param name="Text">The text, with an <see cref="TextGenerator.ImageMark"/> for each picture.</param>
/// <param name="Images">The pictures' files, from left to right.</param>
/// <param name="Answer">What is to be predicted.</param>
internal sealed record ImageTextRow(string Text, IReadOnlyList<string> Images, string Answer)
{
    private const string Example = """{"text": "<image> what is this?", "images": ["a.png"], "answer": "a cat"}""";

    /// <summary>The texts around the pictures: one more than there are pictures.</summary>
    public string[] Parts => Text.Split(TextGenerator.ImageMark);

    /// <summary>The answer with the space that separates it from the text, where neither has one.</summary>
    public string Separated => Answer.Length == 0 || Text.Length == 0 || char.IsWhiteSpace(Text[^1]) || char.IsWhiteSpace(Answer[0])
        || Text.EndsWith(TextGenerator.ImageMark, StringComparison.Ordinal) ? Answer : $" {Answer}";

    /// <summary>Reads a line of a file.</summary>
    /// <param name="line">The line.</param>
    /// <param name="origin">The file and the line's number, for messages.</param>
    /// <param name="folder">The folder that pictures are named from.</param>
    /// <exception cref="InputException">It is not such an object, or names a picture that is not there.</exception>
    public static ImageTextRow Parse(string line, string origin, string folder)
    {
        var row = Object(line, origin);
        foreach (var (key, _) in row)
            if (key is not ("text" or "images" or "image" or "answer"))
                throw new InputException($"{origin}: {key}: unknown key; expected text, images and answer, like {Example}.");
        var (text, answer) = (String(row["text"], "text", origin), String(row["answer"], "answer", origin));
        if (row["image"] is not null && row["images"] is not null)
            throw new InputException($"{origin}: found image beside images; give one of the two.");
        string[] images = row["images"] switch
        {
            null => row["image"] is { } one ? [String(one, "image", origin)] : [],
            JsonArray list => [.. list.Select(item => String(item, "images", origin))],
            var other => throw new InputException($"{origin}: images: found {other.ToJsonString()}, expected a list of files."),
        };
        var marks = text.Split(TextGenerator.ImageMark).Length - 1;
        if (marks != images.Length)
            throw new InputException($"{origin}: found {marks} {TextGenerator.ImageMark} in the text, but {images.Length} images. " +
                "Give one for each.");
        string[] paths = [.. images.Select(image => Path.GetFullPath(image, folder))];
        foreach (var path in paths.Where(path => !File.Exists(path))) throw new InputException($"{origin}: {path}: no such file.");
        return new(text, paths, answer);
    }

    private static JsonObject Object(string line, string origin)
    {
        try
        {
            var json = JsonNode.Parse(line, documentOptions: new() { AllowDuplicateProperties = false });
            json?.ToJsonString();    // half of a surrogate pair is found only now
            return json as JsonObject
                ?? throw new InputException($"{origin}: found {json?.ToJsonString() ?? "null"}, expected an object like {Example}.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InputException($"{origin}: is no JSON ({JsonProblem.Of(e)}); expected an object like {Example}.", e);
        }
    }

    private static string String(JsonNode? node, string key, string origin) =>
        node is JsonValue value && value.TryGetValue<string>(out var text) && (key != "images" || text.Length > 0)
            ? text
            : throw new InputException($"{origin}: {key}: {(node is null ? "missing" : $"found {node.ToJsonString()}")}, expected a text.");
}
