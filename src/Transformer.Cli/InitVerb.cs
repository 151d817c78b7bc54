using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Files;

namespace Transformer.Cli;

/// <summary><c>init</c>: writes the configuration of a run on a text, with comments, to be changed and trained.</summary>
internal static class InitVerb
{
    /// <summary>Its name.</summary>
    public const string Name = "init";

    private static readonly Argument<string> Text = new("TEXT") { Description = "A UTF-8 text, or builtin:NAME." };

    private static readonly Option<string?> Out = new("--out")
    {
        Description = "The new file; default: the text's name with .yaml, in the working directory.",
        HelpName = "FILE",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Writes a commented configuration for a text, to be trained by `train FILE`.") { Text, Out };
        verb.SetAction(Run);
        return verb;
    }

    private static void Run(ParseResult request)
    {
        var text = TextSource.At(request.GetRequiredValue(Text));
        var name = text.IsBuiltIn ? text.Name.Split(':')[1] : Path.GetFileNameWithoutExtension(text.Name);
        var file = request.GetValue(Out) ?? $"{name}.yaml";
        if (Path.Exists(file)) throw new InputException($"{file}: already exists and is not overwritten. Name another file with --out.");
        var choice = InitialChoice.For(text);
        DurableFile.WriteText(file, choice.Yaml(file, PathFrom(file, text)));
        request.InvocationConfiguration.Error.WriteLine(
            $"{file}: {choice}\nchange what you like in it, then train: {ShellCommand.Of(TrainVerb.Name, file)}");
    }

    // As the file names the text: paths in it count from its own folder.
    private static string PathFrom(string file, TextSource text) =>
        text.IsBuiltIn ? text.Name
            : Path.GetRelativePath(Path.GetDirectoryName(Path.GetFullPath(file))!, text.Name);
}
