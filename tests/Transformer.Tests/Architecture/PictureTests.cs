using System.Text.RegularExpressions;
using Transformer.Tests.Cli;

namespace Transformer.Tests.Architecture;

/// <summary>The pictures of the pages are those that the commands beside them draw.</summary>
public sealed partial class PictureTests : IDisposable
{
    private readonly TemporaryFolder here = new();

    private static IEnumerable<(string Page, string Command, string Picture)> Commands =>
        from page in Page.All
        from Match command in Command().Matches(Page.Read(page).Text)
        select (page, command.Groups[1].Value, command.Groups[2].Value);

    public static TheoryData<string> Lines => [.. Commands.Select(command => command.Command).Distinct()];

    public void Dispose() => here.Dispose();

    [Theory, MemberData(nameof(Lines))]
    public async Task A_command_draws_the_picture_above_it_to_the_byte(string line)
    {
        var picture = Command().Match($"`transformer {line}`").Groups[2].Value;
        var run = await CliRun.Of(line.Replace(picture, here["drawn.svg"], StringComparison.Ordinal));
        Assert.True(run.Code == 0, run.Error);
        Assert.Equal(File.ReadAllText(Path.Combine(SourceTree.Root, picture)), File.ReadAllText(here["drawn.svg"]));
    }

    // Loss curves, groups and patches are those of measured runs, and photographs (.png) of pages with such runs.
    [Fact]
    public void Every_picture_is_on_a_page_above_its_command()
    {
        var pictures = Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "docs", "images"), "*.svg")
            .Select(SourceTree.Shown)
            .Where(picture => !picture.EndsWith("-loss.svg", StringComparison.Ordinal)
                && !picture.EndsWith("-groups.svg", StringComparison.Ordinal)
                && !picture.EndsWith("-patches.svg", StringComparison.Ordinal));
        Assert.Equal(pictures.Order(), Commands.Select(command => command.Picture).Distinct().Order());
        foreach (var (page, command, picture) in Commands)
        {
            var text = Page.Read(page).Text;
            var shown = text.IndexOf($"images/{Path.GetFileName(picture)})", StringComparison.Ordinal);
            Assert.InRange(shown, 0, text.IndexOf($"`transformer {command}`", StringComparison.Ordinal));
        }
    }

    [GeneratedRegex(@"`transformer (config show [^`\n]*?(docs/images/[\w.-]+\.svg)[^`\n]*)`")]
    private static partial Regex Command();
}
