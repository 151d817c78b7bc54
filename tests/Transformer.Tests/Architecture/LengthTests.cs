namespace Transformer.Tests.Architecture;

/// <summary>A file that fits a reader's head, and lines that fit a screen.</summary>
public sealed class LengthTests
{
    private const int LongestLine = 140, LongestFile = 400;

    [Fact]
    public void No_line_is_longer_than_editorconfig_says()
    {
        var wrong =
            from file in SourceTree.Files
            from line in File.ReadLines(file).Index()
            where line.Item.Length > LongestLine
            select $"{SourceTree.Shown(file)}:{line.Index + 1}: {line.Item.Length} characters";
        Assert.Empty(wrong);
    }

    [Fact]
    public void No_file_holds_two_ideas()
    {
        var wrong = SourceTree.Files.Select(file => (File: SourceTree.Shown(file), Lines: File.ReadLines(file).Count()))
            .Where(file => file.Lines > LongestFile);
        Assert.Empty(wrong);
    }
}
