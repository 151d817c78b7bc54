using Transformer.Configuration;
using Transformer.Conversations;
using Transformer.Tests.Tokenization;
using Transformer.Tokenization;

namespace Transformer.Tests.Conversations;

public sealed class PromptCompositionTests : IDisposable
{
    private const string Question = "What is the dog called?";

    private readonly TemporaryFolder folder = new();
    private readonly ConversationMemory memory;

    public PromptCompositionTests()
    {
        memory = ConversationMemory.OpenOrCreate(folder["memory.db"]);
        memory.Add("pets", [("user", "My dog is called Rex."), ("assistant", "Good dog."), ("user", "A cat sleeps.")]);
        memory.Add("today", [("user", "Hello there."), ("assistant", "Hi."), ("user", "It rains.")]);
    }

    public void Dispose()
    {
        memory.Dispose();
        folder.Dispose();
    }

    public static TheoryData<string> Tokenizers => ["gpt2", "stories", "byte"];

    [Fact]
    public void What_was_found_stands_in_its_order_then_the_latest_turns_then_the_question()
    {
        var composed = memory.Compose(Question, 1000, text => text.Length);
        Assert.Equal(
            "user: My dog is called Rex.\nassistant: Good dog.\nuser: Hello there.\nassistant: Hi.\nuser: It rains.\n" + Question,
            composed.Text);
        Assert.Equal(["pets 1", "pets 2"], composed.Found.Select(turn => $"{turn}"));
        Assert.Equal(["today 1", "today 2", "today 3"], composed.Latest.Select(turn => $"{turn}"));
        Assert.Equal(composed.Text.Length, composed.Tokens);
    }

    [Fact]
    public void A_turn_that_is_found_and_among_the_latest_stands_there_once()
    {
        var composed = memory.Compose(Question, 1000, text => text.Length, "pets");
        Assert.Equal(
            "user: My dog is called Rex.\nassistant: Good dog.\nuser: A cat sleeps.\n" + Question, composed.Text);
        Assert.Equal((0, 3), (composed.Found.Count, composed.Latest.Count));
    }

    [Fact]
    public void Turns_without_room_are_named()
    {
        var composed = memory.Compose(Question, Question.Length + "user: It rains.\n".Length, text => text.Length);
        Assert.Equal($"user: It rains.\n{Question}", composed.Text);
        Assert.Equal(["pets 1", "pets 2", "today 2"], composed.TooLong.Select(turn => $"{turn}"));
    }

    [Fact]
    public void A_turn_without_room_that_is_found_and_the_latest_is_named_once()
    {
        memory.Add("pets", [("user", $"My dog is called {new string('x', 100)}.")]);
        Assert.Contains("pets 4", memory.Compose(Question, 100, text => text.Length).TooLong.Select(turn => $"{turn}"));
        Assert.Single(memory.Compose("xx dog", 100, text => text.Length).TooLong, turn => turn.Number == 4);
    }

    [Fact]
    public void The_latest_turns_end_before_the_first_that_has_no_room()
    {
        memory.Add("today", [("user", new string('x', 100)), ("user", "Bye.")]);
        Assert.Equal($"user: Bye.\n", memory.Compose("", 100, text => text.Length).Text);
    }

    [Fact]
    public void A_question_longer_than_the_budget_is_refused() => Assert.Equal(
        "the question alone has 23 tokens, and the budget is 22. Shorten it, or raise the budget.",
        Assert.Throws<InputException>(() => memory.Compose(Question, 22, text => text.Length)).Message);

    [Fact]
    public void Turns_with_characters_that_the_tokenizer_lacks_are_left_out_and_named()
    {
        memory.Add("today", [("user", "dog 7")]);
        var tokenizer = CharacterTokenizer.FromCorpus([new StringReader(string.Concat(Enumerable.Range(32, 95)
            .Select(code => (char)code).Where(character => !char.IsDigit(character))) + "\n")]);
        var composed = memory.Compose(Question, 1000, text => tokenizer.Encode(text).Length);
        Assert.Equal(["today 4"], composed.Unreadable.Select(turn => $"{turn}"));
        Assert.EndsWith($"user: It rains.\n{Question}", composed.Text);
    }

    [Fact]
    public void An_empty_memory_gives_the_question_and_an_empty_question_the_latest_turns()
    {
        using var empty = ConversationMemory.OpenOrCreate(folder["empty.db"]);
        Assert.Equal(Question, empty.Compose(Question, 1000, text => text.Length).Text);
        Assert.Equal("user: It rains.\n", memory.Compose("", 20, text => text.Length).Text);
    }

    [Theory, MemberData(nameof(Tokenizers))]
    public void The_budget_is_never_exceeded(string kind)
    {
        Tokenizer tokenizer = kind switch
        {
            "gpt2" => TokenizerGoldens.Gpt2,
            "stories" => TokenizerGoldens.Stories,
            _ => new ByteTokenizer(),
        };
        var random = new Random(7);
        string[] parts = ["dog", "called", "Rex", " ", "\n", "  ", "é", "👩‍👩‍👧", "12345", "…", ":", "\"", "<s>", "日本", ", "];
        memory.Add("long", [.. Enumerable.Range(0, 80).Select(i => (
            i % 2 == 0 ? "user" : "assistant", $"{i}{string.Concat(random.GetItems(parts, random.Next(1, 60)))}"))]);
        int Tokens(string text) => tokenizer.Encode(text).Length;
        foreach (var question in new[] { "", Question, "Rex?\n\"dog\" 👩‍👩‍👧 " })
        {
            var alone = Tokens(question);
            for (var budget = alone; budget < alone + 1500; budget += random.Next(1, 70))
            {
                var composed = memory.Compose(question, budget, Tokens);
                Assert.Equal(Tokens(composed.Text), composed.Tokens);
                Assert.True(composed.Tokens <= budget, $"{composed.Tokens} tokens of {budget}");
                Turn[] used = [.. composed.Found, .. composed.Latest];
                Assert.Equal(string.Concat(used.Select(turn => $"{turn.Line}\n")) + question, composed.Text);
            }
        }
    }

    // A whole that has more tokens than its parts together.
    [Fact]
    public void Turns_are_left_out_until_the_whole_fits()
    {
        int Tokens(string text) => text.Length + (text.Count(character => character == '\n') > 1 ? 30 : 0);
        for (var budget = Question.Length; budget < 200; budget++)
            Assert.InRange(Tokens(memory.Compose(Question, budget, Tokens).Text), Question.Length, budget);
    }
}
