using Transformer.Generation;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation;

public sealed class TurnsTests
{
    private static readonly ByteTokenizer Tokenizer = new();

    [Theory]
    [InlineData("system: be brief\nuser: a\nbot: b\nuser: c\nbot:", 40, "system: be brief\nbot: b\nuser: c\nbot:", 1)]
    [InlineData("system: be brief\nuser: a\nbot: b\nuser: c\nbot:", 30, "system: be brief\nuser: c\nbot:", 2)]
    [InlineData("system: be brief\nuser: a\nbot: b\nuser: c\nbot:", 21, "system: be brief\nbot:", 3)]
    [InlineData("Be brief.\nuser: a\nbot: b\nuser: c", 24, "Be brief.\nbot: b\nuser: c", 1)]
    [InlineData("system: x\nuser: see http://a.b\nat 10:30: no\nhttp://c\nbot: y", 20, "system: x\nbot: y", 1)]
    [InlineData("system: x\nuser two: a\n\nb\nuser-3: c", 20, "system: x\nuser-3: c", 1)]
    [InlineData("system: x\nuser: a\n  note: b\nbot: c", 30, "system: x\nbot: c", 1)]
    [InlineData(" system: x\nuser: a\nbot: b", 20, " system: x\nbot: b", 1)]
    public void The_oldest_turns_are_dropped_whole_and_the_opening_and_the_last_stay(string text, int capacity, string expected, int turns)
    {
        var tokens = Tokenizer.Encode(text);
        var (first, count, dropped) = new Turns(tokens, Tokenizer).Fit(capacity)!.Value;
        Assert.Equal((expected, turns), (Tokenizer.Decode([.. tokens[..first], .. tokens[(first + count)..]]), dropped));
    }

    [Theory]
    [InlineData("system: be brief\nuser: a\nbot:", 20, "its first and its last turn alone have 21")]
    [InlineData("a text without turns", 10, "it has no lines `role: text`")]
    public void What_cannot_be_cut_says_why(string text, int capacity, string reason)
    {
        var turns = new Turns(Tokenizer.Encode(text), Tokenizer);
        Assert.Null(turns.Fit(capacity));
        Assert.StartsWith(reason, turns.Obstacle);
    }
}
