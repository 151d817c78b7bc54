using Transformer.Configuration;

namespace Transformer.Tests.Configuration;

public class SpellingTests
{
    [Theory]
    [InlineData("", "abc", 3)]
    [InlineData("abc", "abc", 0)]
    [InlineData("abc", "acb", 1)]
    [InlineData("kitten", "sitting", 3)]
    public void The_distance_counts_insertions_deletions_replacements_and_swaps(string from, string to, int distance)
    {
        Assert.Equal(distance, Spelling.Distance(from, to));
        Assert.Equal(distance, Spelling.Distance(to, from));
    }

    [Fact]
    public void A_name_that_nothing_resembles_has_no_nearest()
    {
        Assert.Equal("width", Spelling.Nearest("widht", ["layers", "width"]));
        Assert.Null(Spelling.Nearest("colour", ["layers", "width"]));
        Assert.Null(Spelling.Nearest("colour", []));
    }
}
