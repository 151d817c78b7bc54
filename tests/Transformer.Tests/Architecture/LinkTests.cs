using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

/// <summary>Links and pictures of the pages lead somewhere.</summary>
public sealed partial class LinkTests
{
    public static TheoryData<string> Pages => [.. Page.All];

    [Theory, MemberData(nameof(Pages))]
    public void Every_relative_link_leads_to_a_file_and_to_a_heading_that_it_has(string page)
    {
        var path = Path.Combine(SourceTree.Root, page);
        var text = Page.WithoutFences(File.ReadAllText(path));
        var dead =
            from link in Link().Matches(text).Select(match => match.Groups[1].Value)
            where !link.Contains("://", StringComparison.Ordinal) && !link.StartsWith("mailto:", StringComparison.Ordinal)
            let parts = link.Split('#')
            let target = parts[0].Length == 0 ? path : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, parts[0]))
            where !Path.Exists(target) || (parts.Length > 1 && !Headings(target).Contains(parts[1]))
            select link;
        Assert.Empty(dead);
    }

    // As GitHub makes them: lower case, hyphens for spaces, no other punctuation.
    private static HashSet<string> Headings(string page) =>
    [
        .. from line in Page.WithoutFences(File.ReadAllText(page)).Split('\n')
           where line.StartsWith('#')
           select Punctuation().Replace(line.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-'),
    ];

    [GeneratedRegex(@"\]\(([^()\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"[^\p{L}\p{N} _-]")]
    private static partial Regex Punctuation();
}
