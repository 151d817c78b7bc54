using System.Text.Encodings.Web;
using System.Text.RegularExpressions;
using System.Text.Unicode;

namespace Transformer.Comparison;

/// <summary>A report as one HTML file that needs no other file and no network: curves, samples and tables of runs side by side.</summary>
public static partial class ReportPage
{
    private static readonly HtmlEncoder Encoder = HtmlEncoder.Create(UnicodeRanges.All);

    /// <summary>The page.</summary>
    /// <param name="title">Its heading.</param>
    /// <param name="sections">What stands above the curves.</param>
    /// <param name="runs">The runs, of which no two have the same name.</param>
    /// <param name="isLive">Whether a run is in training, so that the page loads itself again and again.</param>
    public static string Html(string title, IReadOnlyList<ReportSection> sections, IReadOnlyList<ReportRun> runs, bool isLive)
    {
        var parts = new Dictionary<string, string>
        {
            ["title"] = Escaped(title),
            ["summary"] = Escaped(ReportTables.Summary(runs)),
            ["style"] = Resource("report.css"),
            ["sections"] = string.Concat(sections.Select(Section)),
            ["results"] = Section(ReportTables.Results(runs)),
            ["differences"] = runs.Count > 1 ? Section(ReportTables.Differences(runs)) : "",
            ["data"] = ReportData.Json(runs, isLive),
            ["script"] = Resource("report.js"),
        };
        return Placeholder().Replace(Resource("report.html"), match => parts[match.Groups["name"].Value]);
    }

    private static string Section(ReportSection section) =>
        $"<section>\n<h2>{Escaped(section.Title)}</h2>\n"
        + string.Concat(section.Paragraphs.Select(paragraph => $"<p>{Escaped(paragraph)}</p>\n"))
        + (section.Table is { } table ? Table(section.Title, table) : "") + "</section>\n";

    // A table that is wider than the screen is scrolled within its box, also by the keyboard.
    private static string Table(string title, ReportTable table)
    {
        bool[] ofNumbers = [.. table.Columns.Select((_, i) => i > 0 && table.IsOfNumbers(i))];
        var head = table.Columns.Select((column, i) => $"<th scope=\"col\"{Class(i)}>{Escaped(column)}</th>");
        var rows = table.Rows.Select(row => "<tr>" + string.Concat(row.Select((cell, i) => i == 0
            ? $"<th scope=\"row\">{Escaped(cell)}</th>" : $"<td{Class(i)}>{Escaped(cell)}</td>")) + "</tr>\n");
        return $"<div class=\"scroll\" role=\"region\" aria-label=\"{Escaped(title)}\" tabindex=\"0\"><table>\n" +
            $"<thead><tr>{string.Concat(head)}</tr></thead>\n<tbody>\n{string.Concat(rows)}</tbody>\n</table></div>\n";

        string Class(int column) => ofNumbers[column] ? " class=\"number\"" : "";
    }

    private static string Escaped(string text) => Encoder.Encode(text);

    private static string Resource(string name)
    {
        using var stream = typeof(ReportPage).Assembly.GetManifestResourceStream($"page/{name}")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().TrimEnd();
    }

    [GeneratedRegex(@"\{\{(?<name>\w+)\}\}")]
    private static partial Regex Placeholder();
}
