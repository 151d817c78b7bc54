using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Formats;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary>The argument RECIPE|FILE. Anything else is refused with what it looks like and the command that takes it.</summary>
internal static partial class TrainingSource
{
    private const int HeadBytes = 1 << 16;

    /// <summary>Reads a recipe or a file.</summary>
    /// <param name="source">The argument.</param>
    /// <param name="overrides">As for <see cref="ConfigFile.Load"/>.</param>
    /// <param name="verb">The verb that takes the argument, for messages.</param>
    /// <exception cref="InputException">It is neither, or the configuration is wrong.</exception>
    public static RunConfig Load(string source, IEnumerable<string> overrides, params string[] verb)
    {
        // The name of a recipe is that, also beside a run's folder of the same name.
        if (ConfigLibrary.Recipes.Contains(source)) return ConfigFile.Load(source, overrides);
        if (Directory.Exists(source)) throw new InputException(OfFolder(source, verb));
        if (File.Exists(source) && OfFile(source, verb) is { } problem) throw new InputException(problem);
        return ConfigFile.Load(source, overrides);
    }

    private static string OfFolder(string folder, string[] verb)
    {
        var run = Path.Combine(folder, RunFolder.ConfigName);
        if (File.Exists(run))
            return $"{folder}: a run's folder, expected a recipe or a file. Resume it: {ShellCommand.Of("train", "--resume", folder)}\n" +
                $"  or take its configuration: {ShellCommand.Of([.. verb, run])}";
        if (PreparedCorpus.IsAt(folder))
            return $"{folder}: a folder of token files, expected a recipe or a file.\n" +
                $"  Give it as the data of one: {ShellCommand.Of([.. verb, "--set", $"data.path={folder}"])}";
        if (File.Exists(Path.Combine(folder, CheckpointConfig.FileName)) || WeightFiles.In(folder))
            return $"{folder}: a folder of weights, expected a recipe or a file.\n" +
                $"  Begin a run with them: {ShellCommand.Of("train", "--init-from", folder, "--set", "data.path=TEXT")}";
        var others = Directory.EnumerateFiles(folder).Where(file => Path.GetExtension(file) is not ".json");
        if (others.FirstOrDefault(file => IsText(Head(file))) is { } text)
            return $"{folder}: a folder with texts, expected a recipe or a file; data.path takes one text, such as {text}.\n" +
                $"  Join them: cat {ShellCommand.Quoted(folder)}/*{Path.GetExtension(text)} > all.txt && " +
                ShellCommand.Of([.. verb, "--set", "data.path=all.txt"]);
        return $"{folder}: a folder, expected a recipe or a file. The recipes are {string.Join(", ", ConfigLibrary.Recipes)}.";
    }

    private static string? OfFile(string file, string[] verb)
    {
        var extension = Path.GetExtension(file).ToLowerInvariant();
        if (extension is ".gguf" or ".safetensors" or ".bin" or ".pt" or ".pth" or ".onnx")
            return $"{file}: weights, expected a recipe or a YAML or JSON file." + extension switch
            {
                ".safetensors" => $"\n  Begin a run with them: {ShellCommand.Of("train", "--init-from", file, "--set", "data.path=TEXT")}",
                ".gguf" or ".bin" => $"\n  Make a checkpoint of them: {ShellCommand.Of("import", file, "--out", "imported")}\n" +
                    $"  Then begin a run with it: {ShellCommand.Of("train", "--init-from", "imported", "--set", "data.path=TEXT")}",
                _ => "",
            };
        if (extension is ".yaml" or ".yml" or ".json" || !HasLength(file)) return null;
        var head = Head(file);
        if (!IsText(head) || ConfigurationKey().IsMatch(head)) return null;
        return $"{file}: looks like a text, expected a recipe or a YAML or JSON file. Give it as the data of a recipe:\n" +
            $"  {ShellCommand.Of([.. verb, "--set", $"data.path={file}"])}\n" +
            $"or write a configuration for it: {ShellCommand.Of(InitVerb.Name, file)}";
    }

    // What is read from a pipe is gone, so nothing is. /dev/fd/63 is a link to one, which leads to no file.
    private static bool HasLength(string file)
    {
        var found = new FileInfo(file);
        if (found.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target) found = target;
        return found is { Exists: true, Length: > 0 };
    }

    // UTF-8 without control characters, as far as its beginning tells.
    private static bool IsText(string head) => head.AsSpan().IndexOfAny('\0', '\uFFFD') < 0;

    private static string Head(string file)
    {
        try
        {
            using var reader = new StreamReader(file);
            var head = new char[HeadBytes];
            return new string(head, 0, reader.ReadBlock(head));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "\0";
        }
    }

    [GeneratedRegex(@"^[\s{]*""?(?:model|data|training|description)""?\s*:", RegexOptions.Multiline)]
    private static partial Regex ConfigurationKey();
}
