namespace Transformer.Comparison;

/// <summary>A table of a report. Columns of numbers are set to the right.</summary>
/// <param name="Columns">Their headings; the first one is that of the rows' names.</param>
/// <param name="Rows">As many cells each as there are columns.</param>
public sealed record ReportTable(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    /// <summary>What a cell without a value shows.</summary>
    public const string Nothing = "–";

    /// <summary>Whether all values of a column begin with a digit or a sign.</summary>
    internal bool IsOfNumbers(int column) => Rows.All(row => row[column] is { Length: > 0 } cell
        && (cell == Nothing || char.IsAsciiDigit(cell.TrimStart('-', '−', '+', '±').FirstOrDefault())));
}
