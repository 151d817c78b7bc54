using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

/// <summary>A page of the documentation and the fenced blocks in it.</summary>
internal sealed partial record Page(string Path, string Text)
{
    /// <summary>The README and all pages below docs, as paths from the repository's root.</summary>
    public static IEnumerable<string> All =>
        Directory.EnumerateFiles(System.IO.Path.Combine(SourceTree.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Append(System.IO.Path.Combine(SourceTree.Root, "README.md"))
            .Select(page => System.IO.Path.GetRelativePath(SourceTree.Root, page).Replace('\\', '/'));

    /// <summary>The page at a path from the repository's root.</summary>
    public static Page Read(string path) => new(path, File.ReadAllText(System.IO.Path.Combine(SourceTree.Root, path)));

    /// <summary>The fenced blocks, from top to bottom; one without an end has the rest of the page.</summary>
    public IEnumerable<Fence> Fences
    {
        get
        {
            Fence? fence = null;
            var above = "";
            var line = 0;
            foreach (var text in Text.Split('\n'))
            {
                line++;
                var trimmed = text.Trim();
                if (fence is null && trimmed.StartsWith(Mark, StringComparison.Ordinal))
                    fence = new(Path, line, trimmed.TrimStart('`').Trim(), above, []);
                else if (fence is not null && trimmed == Mark)
                {
                    yield return fence;
                    (fence, above) = (null, "");
                }
                else if (fence is not null) fence.Lines.Add(text);
                else if (trimmed.Length > 0) above = trimmed;
            }
            if (fence is not null) yield return fence with { Language = "a block without an end" };
        }
    }

    private const string Mark = "```";

    /// <summary>A text without its fenced blocks.</summary>
    public static string WithoutFences(string text) => FencedBlock().Replace(text, "");

    [GeneratedRegex(@"^[ ]*```.*?^[ ]*```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex FencedBlock();
}

/// <summary>A fenced block.</summary>
/// <param name="Page">The page that has it.</param>
/// <param name="Line">The line of its first mark, from 1.</param>
/// <param name="Language">The word after the first mark.</param>
/// <param name="Above">The last line of text above it; empty where that is another block.</param>
/// <param name="Lines">What is in it.</param>
internal sealed record Fence(string Page, int Line, string Language, string Above, List<string> Lines)
{
    /// <summary>What is in it.</summary>
    public string Code => string.Join('\n', Lines);

    /// <summary>Where it is.</summary>
    public string Place => $"{Page}:{Line}";
}
