using Transformer.Tests.Architecture;
using Transformer.Tests.PublicApi;

namespace Transformer.Tests.Runs;

public sealed class ConfigurationPageTests
{
    // The tables begin with the first section; the text before it is written by hand.
    private const string Begin = "## The run";

    [Fact]
    public void The_page_of_all_keys_is_what_the_records_say()
    {
        var path = Path.Combine(SourceTree.Root, "docs", "configuration.md");
        var page = File.ReadAllText(path);
        var made = page[..page.IndexOf(Begin, StringComparison.Ordinal)] + ConfigurationPage.Create();
        if (Snapshot.Accepted) File.WriteAllText(path, made);
        else Assert.True(
            page == made,
            $"docs/configuration.md is no longer what the records say; run this test once with {Snapshot.Accept}=1 and read what changed.");
    }
}
