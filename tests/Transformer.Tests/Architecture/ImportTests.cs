using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

/// <summary>The way of the data is the way of the imports: text, tokens, layers, model, checkpoint, generation, evaluation, training.</summary>
public sealed partial class ImportTests
{
    private static readonly string[] Everywhere = ["Native", "Configuration"];
    private static readonly string[] Generation = ["Model", "Tokenization", "Checkpoints", "Layers"];
    private static readonly string[] Evaluation = ["Generation", .. Generation, "Data", "Distributed"];
    private static readonly string[] Training = ["Evaluation", .. Evaluation];

    // What each folder may import besides itself, Native and Configuration.
    private static readonly Dictionary<string, string[]> Imports = new()
    {
        ["Native"] = [],
        ["Configuration"] = [],
        ["Distributed"] = [],
        ["Tokenization"] = [],
        ["Data"] = ["Tokenization"],
        ["Layers"] = ["Distributed"],
        ["Model"] = ["Layers"],
        ["Checkpoints"] = ["Model", "Layers", "Tokenization"],
        ["Generation"] = Generation,
        ["Evaluation"] = Evaluation,
        ["Training"] = Training,
        ["Inspection"] = ["Generation", .. Generation],
        ["Chat"] = ["Generation", .. Generation],
        ["Experiments"] = ["Training", .. Training, "Inspection", "Chat", "Layers"],
    };

    [Fact]
    public void Folders_import_only_what_the_table_gives_them()
    {
        var wrong =
            from file in SourceTree.FilesIn(SourceTree.Library)
            let folder = Path.GetRelativePath(SourceTree.Library, file).Split(Path.DirectorySeparatorChar)[0]
            from line in File.ReadLines(file)
            where Import().Match(line) is { Success: true } import && !Allowed(folder, import.Groups[1].Value)
            select $"{Path.GetRelativePath(SourceTree.Root, file)}: {line}";
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("Transformer.Onnx", "Server", "Cli")]
    [InlineData("Transformer.Server", "Cli")]
    public void A_project_imports_none_of_those_above_it(string project, params string[] above)
    {
        var wrong =
            from file in SourceTree.FilesIn(Path.Combine(SourceTree.Root, "src", project))
            from line in File.ReadLines(file)
            where Import().Match(line) is { Success: true } import && above.Contains(import.Groups[1].Value)
            select $"{Path.GetRelativePath(SourceTree.Root, file)}: {line}";
        Assert.Empty(wrong);
    }

    private static bool Allowed(string folder, string imported) =>
        imported == folder || Everywhere.Contains(imported) || (Imports.TryGetValue(folder, out var allowed) && allowed.Contains(imported));

    [GeneratedRegex(@"^\s*(?:global )?using (?:static |\w+ = )?Transformer\.(\w+)")]
    private static partial Regex Import();
}
