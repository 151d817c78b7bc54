using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages =>
        [.. Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Where(page => Snippet().IsMatch(File.ReadAllText(page)))
            .Select(page => Path.GetRelativePath(SourceTree.Root, page))];

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_snippet_stands_in_the_file_that_is_named_above_it(string page)
    {
        foreach (Match snippet in Snippet().Matches(File.ReadAllText(Path.Combine(SourceTree.Root, page))))
        {
            var file = Source(snippet.Groups["file"].Value);
            Assert.Contains(WithoutIndent(snippet.Groups["code"].Value), WithoutIndent(File.ReadAllText(file)), StringComparison.Ordinal);
        }
    }

    // A path relative to one of the two projects of the library.
    private static string Source(string path) => ((string[])["Transformer.Runtime", "Transformer"])
        .Select(project => Path.Combine(SourceTree.Root, "src", project, path)).FirstOrDefault(File.Exists) ?? path;

    private static string WithoutIndent(string code) => string.Join('\n', code.Trim().Split('\n').Select(line => line.Trim()));

    [GeneratedRegex(@"^\[(?<file>\S+\.cs)\]\(\S+\):\n\n```csharp\n(?<code>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Snippet();
}
