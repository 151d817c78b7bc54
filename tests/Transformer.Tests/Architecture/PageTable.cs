namespace Transformer.Tests.Architecture;

/// <summary>A table of a page: its columns by their headings.</summary>
internal sealed record PageTable(IReadOnlyList<(string Name, IReadOnlyList<string> Cells)> Columns)
{
    /// <summary>All tables of a page.</summary>
    public static IReadOnlyList<PageTable> Of(string page)
    {
        var tables = new List<PageTable>();
        var rows = new List<string[]>();
        foreach (var line in page.Split('\n').Append(""))
        {
            if (line.StartsWith('|'))
            {
                rows.Add([.. line.Trim('|').Split('|').Select(cell => cell.Trim())]);
                continue;
            }
            if (rows.Count > 2)
                tables.Add(new([.. rows[0].Select((name, at) => (name, (IReadOnlyList<string>)[.. rows.Skip(2).Select(row => row[at])]))]));
            rows.Clear();
        }
        return tables;
    }
}
