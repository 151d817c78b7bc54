namespace Transformer.Comparison;

/// <summary>A part of a report: a heading, paragraphs and a table.</summary>
/// <param name="Title">The heading.</param>
/// <param name="Paragraphs">Plain text.</param>
/// <param name="Table">What stands below them; null for none.</param>
public sealed record ReportSection(string Title, IReadOnlyList<string> Paragraphs, ReportTable? Table = null);
