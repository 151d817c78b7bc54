using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

/// <summary>The import tables of docs/architecture.md are what the <c>using</c> lines do.</summary>
public sealed partial class ImportTests
{
    private const string Runtime = "Transformer.Runtime", Library = "Transformer";

    private static readonly IReadOnlyDictionary<string, ImportTable> Tables = ImportTable.Read();

    // Rooms of a project that all of its rooms may import.
    private static readonly Dictionary<string, string[]> Everywhere = new()
    {
        [Runtime] = ["Files", "Numerics", "Configuration"],
        [Library] = [.. Tables[Runtime].Folders, "Native", "Runs"],
    };

    [Theory]
    [InlineData(Runtime)]
    [InlineData(Library)]
    public void Folders_import_only_what_the_table_gives_them(string project)
    {
        var wrong =
            from file in SourceTree.FilesIn(SourceTree.Project(project))
            let folder = Row(project, Path.GetRelativePath(SourceTree.Project(project), Path.GetDirectoryName(file)!).Replace('\\', '/'))
            from line in File.ReadLines(file)
            where Import().Match(line) is { Success: true } import && !IsAllowed(project, folder, import.Groups[1].Value.Replace('.', '/'))
            select $"{SourceTree.Shown(file)}: {line}";
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData(Runtime)]
    [InlineData(Library)]
    public void The_table_has_a_row_for_every_folder_and_a_folder_for_every_row(string project)
    {
        var root = SourceTree.Project(project);
        var found = SourceTree.FilesIn(root)
            .Select(file => Row(project, Path.GetRelativePath(root, Path.GetDirectoryName(file)!).Replace('\\', '/'))).Distinct();
        Assert.Equal(Tables[project].Folders.Order(), found.Order());
    }

    [Theory]
    [InlineData(Runtime, "Onnx", "Server", "Cli")]
    [InlineData(Library, "Onnx", "Server", "Cli")]
    [InlineData("Transformer.Onnx", "Server", "Cli")]
    [InlineData("Transformer.Server", "Cli")]
    public void A_project_imports_none_of_those_above_it(string project, params string[] above)
    {
        var wrong =
            from file in SourceTree.FilesIn(SourceTree.Project(project))
            from line in File.ReadLines(file)
            where Import().Match(line) is { Success: true } import && above.Contains(import.Groups[1].Value.Split('.')[0])
            select $"{SourceTree.Shown(file)}: {line}";
        Assert.Empty(wrong);
    }

    // The longest row that names the folder or one above it.
    private static string Row(string project, string folder) =>
        Tables[project].Folders.Where(row => folder == row || folder.StartsWith(row + "/", StringComparison.Ordinal))
            .MaxBy(row => row.Length) ?? folder;

    private static bool IsAllowed(string project, string folder, string imported) =>
        Everywhere[project].Any(room => IsWithin(room, imported))
            || (Tables[project].Of(folder)?.Any(room => IsWithin(room, imported)) ?? false);

    private static bool IsWithin(string room, string imported) =>
        imported == room || imported.StartsWith(room + "/", StringComparison.Ordinal);

    [GeneratedRegex(@"^\s*(?:global )?using (?:static |\w+ = )?Transformer\.([\w.]+);")]
    private static partial Regex Import();
}
