using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

/// <summary>What docs/architecture.md allows each folder to import: the tables below the headings that name a project.</summary>
internal sealed partial class ImportTable
{
    private readonly Dictionary<string, HashSet<string>> allowed = [];

    private ImportTable(string project) => Project = project;

    /// <summary>The project.</summary>
    public string Project { get; }

    /// <summary>The folders that have a row, as far as the table names them: <c>Layers</c> or <c>Inference/Torch</c>.</summary>
    public IEnumerable<string> Folders => allowed.Keys;

    /// <summary>The tables of the page, by project.</summary>
    public static IReadOnlyDictionary<string, ImportTable> Read()
    {
        var tables = new Dictionary<string, ImportTable>();
        ImportTable? table = null;
        foreach (var line in File.ReadLines(Path.Combine(SourceTree.Root, "docs", "architecture.md")))
        {
            if (Heading().Match(line) is { Success: true } heading)
                tables.Add(heading.Groups[1].Value, table = new(heading.Groups[1].Value));
            else if (line.StartsWith("## ", StringComparison.Ordinal)) table = null;
            else if (table is not null && Row().Match(line) is { Success: true } row)
                table.Add(row.Groups[1].Value.Trim(), row.Groups[2].Value.Trim());
        }
        return tables;
    }

    /// <summary>The folders that a row allows, itself included; null where the folder has no row.</summary>
    public IReadOnlySet<string>? Of(string folder) => allowed.GetValueOrDefault(folder);

    // "Inference/Torch and what it imports, Data": names, each of which may bring its own row with it.
    private void Add(string folders, string imports)
    {
        var names = new HashSet<string>();
        foreach (var entry in imports.Split(',', StringSplitOptions.TrimEntries).Where(entry => entry != "-"))
        {
            var name = entry.Replace(AndItsImports, "", StringComparison.Ordinal);
            names.Add(name);
            if (name == entry) continue;
            names.UnionWith(allowed.GetValueOrDefault(name)
                ?? throw new InvalidOperationException($"docs/architecture.md: {name} has no row above {folders}"));
        }
        foreach (var folder in folders.Split(',', StringSplitOptions.TrimEntries)) allowed.Add(folder, [.. names, folder]);
    }

    private const string AndItsImports = " and what it imports";

    [GeneratedRegex(@"^### `src/(Transformer[\w.]*)`")]
    private static partial Regex Heading();

    [GeneratedRegex(@"^\| ([A-Z][\w/, ]*) \| ([^|]+) \|")]
    private static partial Regex Row();
}
