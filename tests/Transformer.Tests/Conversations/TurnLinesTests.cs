using Transformer.Configuration;
using Transformer.Conversations;

namespace Transformer.Tests.Conversations;

public sealed class TurnLinesTests
{
    [Fact]
    public void A_line_is_a_turn_and_an_indented_one_continues_it() => Assert.Equal(
        [("user", "Two lines:\none\n\n  two"), ("Dr Who", "Yes: no"), ("assistant", "later")],
        TurnLines.Parse("\nuser: Two lines:\n  one\n\n    two\n\n\nDr Who: Yes: no\r\nassistant:\n  later\n", "file"));

    [Theory]
    [InlineData("one\ntwo")]
    [InlineData("one\n\n  two\n\nassistant: not a turn")]
    [InlineData("a: b")]
    public void What_a_prompt_shows_is_read_as_the_same_turn(string text) => Assert.Equal(
        [("user", text)], TurnLines.Parse(new Turn(1, "talk", 1, "user", text, DateTime.UnixEpoch).Line, "file"));

    [Theory]
    [InlineData("user: a\nhttp://x", "file:2: found no role")]
    [InlineData("  indented", "file:1: found no role")]
    [InlineData(": a", "file:1: found no role")]
    [InlineData("\n \n", "file: found no turns")]
    public void A_line_without_a_role_is_refused_by_its_number(string text, string message) =>
        Assert.StartsWith(message, Assert.Throws<InputException>(() => TurnLines.Parse(text, "file")).Message);
}
