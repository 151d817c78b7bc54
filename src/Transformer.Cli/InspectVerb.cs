using System.CommandLine;
using System.Text;
using Transformer.Configuration;
using Transformer.Diagrams;
using Transformer.Evaluation;
using Transformer.Inference.Torch;
using Transformer.Tokenization;

namespace Transformer.Cli;

/// <summary>
/// <c>inspect</c>: the groups that a model's hourglasses make of a text, or what it attends to in a picture, drawn as a picture.
/// </summary>
internal static class InspectVerb
{
    private const string Extension = ".svg";

    private static readonly Argument<string> Source = new("PATH") { Description = "A run, a checkpoint, or a .safetensors file." };

    private static readonly Option<string> Prompt = new("--prompt")
    {
        Description = "The text whose groups are shown, or what is asked about the picture.",
        HelpName = "TEXT",
        Required = true,
    };

    private static readonly Option<string> Out = new("--out")
    {
        Description = "The picture; one that is there is replaced.",
        HelpName = "FILE.svg",
        Required = true,
    };

    private static readonly Option<string?> Image = new("--image")
    {
        Description = "A PNG or JPEG file: shows which of its patches the last token of the text attends to, and the answer.",
        HelpName = "FILE",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(
            "inspect", "Draws the groups that a model's hourglasses make of a text, or what it attends to in a picture.")
        {
            Source, Prompt, Image, Out, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
        };
        verb.SetAction(Run);
        return verb;
    }

    private static void Run(ParseResult request)
    {
        SharedOptions.UseThreads(request);
        var (path, prompt, picture) = (
            request.GetRequiredValue(Source), request.GetRequiredValue(Prompt), request.GetRequiredValue(Out));
        if (Path.GetExtension(picture) != Extension)
            throw new InputException($"--out: found {picture}, expected a name that ends with {Extension}.");
        if (prompt.Length == 0) throw new InputException("--prompt: found nothing, expected a text.");
        using var loaded = LoadedModel.Open(path, SharedOptions.DeviceOf(request));
        if (request.GetValue(Image) is { } image)
        {
            InspectPicture.Run(request, loaded, path, prompt, image, picture);
            return;
        }
        var (model, tokenizer) = (loaded.Model.Config, loaded.Tokenizer);
        if (!model.Layers.Any(item => item.Hourglass is not null))
            throw new InputException($"{path}: has no hourglass (model.layers: {model.Layers}), so it makes no groups of tokens.");
        int[] ids = [.. tokenizer.BeginOfText is { } begin ? [begin] : (int[])[], .. tokenizer.Encode(prompt)];
        if (ids.Length > model.MostTokens)
            throw new InputException(
                $"--prompt: has {ids.Length} tokens, and the context of {path} is {model.MostTokens} tokens; give a shorter text.");
        string[] tokens = [.. ids.Select(id => TextOf(tokenizer, id))];
        var groups = TextGroups.Of(loaded.Model, ids);
        GroupsDiagram.Write(
            picture, model, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))), tokens,
            [.. groups.Select(own => new GroupedText(own.Hourglass.Path, own.Ends, own.Probabilities))]);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, new
            {
                Tokens = tokens,
                Hourglasses = groups.Select(own => new
                {
                    own.Hourglass.Path,
                    own.Hourglass.Config.Shorten,
                    Boundaries = own.Hourglass.Config.Boundaries is { } boundaries ? Kind.NameOf(boundaries) : null,
                    Ends = EndsOf(own),
                    own.Probabilities,
                }),
                Out = picture,
            });
            return;
        }
        foreach (var own in groups)
        {
            var groupCount = EndsOf(own).Count();
            output.WriteLine($"{own.Hourglass.Path}: {tokens.Length} token{(tokens.Length == 1 ? "" : "s")}, " +
                $"{groupCount} group{(groupCount == 1 ? "" : "s")}");
        }
        output.WriteLine($"The picture is in {picture}");
    }

    // Which tokens they are.
    private static IEnumerable<int> EndsOf(TextGroups groups) => groups.Ends.Index().Where(end => end.Item).Select(end => end.Index);

    // A control token has a name but no text, and a part of a character only bytes.
    private static string TextOf(Tokenizer tokenizer, int id)
    {
        var bytes = tokenizer.BytesOf(id);
        if (bytes.IsEmpty) return tokenizer.AddedTokens.FirstOrDefault(token => token.Id == id)?.Content ?? $"<{id}>";
        var text = Encoding.UTF8.GetString(bytes);
        return text.Contains('\ufffd') ? $"<{Convert.ToHexString(bytes)}>" : text;
    }
}
