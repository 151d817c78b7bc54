using System.Text;
using Microsoft.Data.Sqlite;
using Transformer.Configuration;
using Transformer.Conversations;

namespace Transformer.Tests.Conversations;

public sealed class ConversationMemoryTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly ConversationMemory memory;

    public ConversationMemoryTests() => memory = ConversationMemory.OpenOrCreate(folder["memory.db"]);

    public void Dispose()
    {
        memory.Dispose();
        folder.Dispose();
    }

    public static TheoryData<string> Texts =>
    [
        "plain", "\"quoted\" 'twice' \"\"", "NEAR(a b, 3) AND OR NOT ^x col:umn {y} * +",
        "line\nline\r\n\n  indented", "emoji 👩‍👩‍👧 and é e\u0301 日本語",
        "before\0after", " leading and trailing ", "%s ? $text ;DROP TABLE turns;--", new string('x', 1_000_000),
        string.Concat(Enumerable.Repeat("a word or two, ", 70_000)),
    ];

    [Theory, MemberData(nameof(Texts))]
    public void A_text_is_kept_as_it_is(string text)
    {
        memory.Add("talk", [("user", text)]);
        Assert.Equal(text, Assert.Single(memory.Turns("talk")).Text);
    }

    [Theory, MemberData(nameof(Texts))]
    [InlineData("")]
    [InlineData("\"")]
    [InlineData("\0")]
    [InlineData("AND")]
    [InlineData("\ud800 half a pair")]
    public void A_query_may_be_any_text(string query)
    {
        memory.Add("talk", [("user", "Both AND or NOT, one of them.")]);
        Assert.InRange(memory.Search(query).Count, 0, 1);
    }

    [Theory]
    [InlineData("dogs", "Her DOG barks.")]
    [InlineData("cafe", "The café is closed.")]
    [InlineData("CAFÉ'S", "The cafe is closed.")]
    [InlineData("before", "before\0after")]
    [InlineData("after", "before\0after")]
    [InlineData("running?", "He runs.")]
    [InlineData("NOT", "It is not so.")]
    [InlineData("東京", "東京 は大きい。")]
    public void A_word_is_found_in_all_its_forms(string query, string text)
    {
        memory.Add("talk", [("user", text), ("user", "Something else.")]);
        Assert.Equal(text, Assert.Single(memory.Search(query)).Turn.Text);
    }

    [Fact]
    public void The_passage_of_a_long_turn_has_the_word_that_was_found()
    {
        memory.Add("talk", [("user", string.Concat(Enumerable.Repeat("much ado about nothing ", 30_000)) + "needle end")]);
        var passage = Assert.Single(memory.Search("needles")).Passage;
        Assert.Contains("needle", passage);
        Assert.InRange(passage.Length, 1, 400);
    }

    [Fact]
    public void Among_equals_the_latest_is_first()
    {
        memory.Add("a", [("user", "red apple"), ("user", "red pear"), ("user", "blue plum")]);
        memory.Add("b", [("user", "red grape")]);
        Assert.Equal(["b 1", "a 2", "a 1"], memory.Search("red").Select(found => $"{found.Turn}"));
        Assert.Equal(["a 2", "a 1"], memory.Search("red", conversation: "a").Select(found => $"{found.Turn}"));
        Assert.Equal(["b 1"], memory.Search("red", count: 1).Select(found => $"{found.Turn}"));
    }

    [Fact]
    public void A_word_that_is_frequent_elsewhere_is_found_in_one_conversation()
    {
        memory.Add("a", [("user", "The weather is fine."), ("user", "Something else.")]);
        memory.Add("b", [.. Enumerable.Repeat(("user", "weather"), 12_000)]);
        Assert.Equal(["a 1"], memory.Search("weather", conversation: "a").Select(found => $"{found.Turn}"));
    }

    // "weather" stands in more turns than are ranked, but not in this conversation.
    [Fact]
    public void A_word_that_is_frequent_elsewhere_counts_beside_a_rare_one()
    {
        memory.Add("a", [("user", "The weather is fine."), ("user", "A comet.")]);
        memory.Add("b", [.. Enumerable.Repeat(("user", "weather"), 12_000)]);
        Assert.Equal(2, memory.Search("comet weather", conversation: "a").Count);
    }

    [Fact]
    public void Conversations_count_their_own_turns_and_the_last_one_told_stands_last()
    {
        var before = DateTime.UtcNow.AddSeconds(-1);
        memory.Add("a", [("user", "one"), ("assistant", "two")]);
        memory.Add("b", [("user", "one")]);
        Assert.Equal([3], memory.Add("a", [("user", "three")]).Select(turn => turn.Number));
        Assert.Equal([("b", 1), ("a", 3)], memory.Conversations().Select(one => (one.Name, one.Turns)));
        Assert.All(memory.Turns("a"), turn => Assert.InRange(turn.Time, before, DateTime.UtcNow.AddSeconds(1)));
    }

    [Fact]
    public void Add_adds_all_turns_or_none()
    {
        Assert.Throws<InputException>(() => memory.Add("talk", [("user", "kept?"), ("user", " ")]));
        Assert.Empty(memory.Conversations());
    }

    [Theory]
    [InlineData("", "user")]
    [InlineData("two\nlines", "user")]
    [InlineData(" talk", "user")]
    [InlineData("talk", "us:er")]
    [InlineData("talk", "")]
    public void Names_are_one_line_and_a_role_has_no_colon(string conversation, string role) =>
        Assert.Throws<InputException>(() => memory.Add(conversation, [(role, "text")]));

    [Fact]
    public void A_forgotten_turn_is_not_found_again_and_the_others_keep_their_numbers()
    {
        memory.Add("talk", [("user", "a red apple"), ("user", "a red pear"), ("user", "a red plum")]);
        Assert.Equal(1, memory.Forget("talk", 2));
        Assert.Equal([1, 3], memory.Turns("talk").Select(turn => turn.Number));
        Assert.Empty(memory.Search("pear"));
        Assert.Equal((0, 0), (memory.Forget("talk", 2), memory.Forget("other")));
        Assert.Equal(2, memory.Forget("talk"));
        Assert.Empty(memory.Conversations());
    }

    [Fact]
    public void What_is_forgotten_is_no_longer_in_the_file()
    {
        memory.Add("kept", [.. Enumerable.Range(0, 300).Select(i => ("user", $"keptword{i} and more of it"))]);
        memory.Add("talk", [.. Enumerable.Range(0, 300).Select(i => ("user", $"secretword{i} and more of it"))]);
        memory.Add("talk", [("user", string.Concat(Enumerable.Repeat("secretword300 ", 2000)))]);
        memory.Forget("kept", 78);    // keptword77
        memory.Forget("talk");
        var file = Encoding.UTF8.GetString(File.ReadAllBytes(folder["memory.db"]));
        Assert.Contains("keptword76 ", file);
        Assert.DoesNotContain("keptword77 ", file);
        Assert.DoesNotContain("secretword", file);
    }

    [Fact]
    public void The_index_follows_what_another_program_changes()
    {
        memory.Add("talk", [("user", "a red apple"), ("user", "a red pear")]);
        using var other = new SqliteConnection($"Data Source={folder["memory.db"]};Pooling=false");
        other.Open();
        using var change = other.CreateCommand();
        change.CommandText = """
            UPDATE turns SET text = 'a green apple' WHERE number = 1;
            DELETE FROM turns WHERE number = 2;
            INSERT INTO words (words, rank) VALUES ('integrity-check', 1);
            """;
        change.ExecuteNonQuery();
        Assert.Equal([1], memory.Search("green pear").Select(found => found.Turn.Number));
        Assert.Empty(memory.Search("red"));
    }
}
