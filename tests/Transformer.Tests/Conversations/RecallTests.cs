using System.Diagnostics;
using Transformer.Conversations;
using Transformer.Tests.Tokenization;

namespace Transformer.Tests.Conversations;

/// <summary>Whether what was told is found again, put before a model, and in time.</summary>
public sealed class RecallTests : IDisposable
{
    private const int Seeds = 3;
    private readonly TemporaryFolder folder = new();
    private readonly ITestOutputHelper output;

    public RecallTests(ITestOutputHelper output) => this.output = output;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Of_40_facts_over_200_turns_nine_in_ten_are_among_the_first_three()
    {
        var (first, firstThree, asked) = (0, 0, 0);
        for (var seed = 0; seed < Seeds; seed++)
        {
            using var memory = ConversationMemory.OpenOrCreate(folder[$"{seed}.db"]);
            var facts = ToldFacts.Tell(memory, seed);
            Assert.Equal((40, 200), (facts.Count, memory.Conversations().Sum(one => one.Turns)));
            foreach (var (question, fact) in facts)
            {
                var found = memory.Search(question, count: 3).Select(one => one.Turn).ToList();
                asked++;
                if (found[0] == fact) first++;
                if (found.Contains(fact)) firstThree++;
                else output.WriteLine($"seed {seed}: {question} -> {string.Join(" | ", found.Select(turn => turn.Text))}");
            }
        }
        output.WriteLine($"of {asked} facts {first} are the first, {firstThree} ({100.0 * firstThree / asked:f1} %) among the first three");
        Assert.True(firstThree >= 0.9 * asked, $"{firstThree} of {asked}");
    }

    [Fact]
    public void What_was_told_stands_before_the_question_and_is_named()
    {
        using var memory = ConversationMemory.OpenOrCreate(folder["memory.db"]);
        var shown = 0;
        foreach (var (question, fact) in ToldFacts.Tell(memory, seed: 0))
        {
            var composed = memory.Compose(question, 120, text => TokenizerGoldens.Gpt2.Encode(text).Length);
            Assert.InRange(composed.Tokens, 1, 120);
            if (!composed.Text.Contains($"{fact.Line}\n")) continue;
            Assert.Contains(fact, composed.Found.Concat(composed.Latest));
            shown++;
        }
        output.WriteLine($"{shown} of 40 facts are in a prompt of 120 tokens");
        Assert.InRange(shown, 36, 40);
    }

    // Words as frequent as those of a language: the commonest stands in half of all turns.
    [Fact]
    public void The_median_search_among_100_000_turns_takes_less_than_50_ms()
    {
        var random = new Random(5);
        string Word() => $"w{(int)Math.Exp(random.NextDouble() * Math.Log(30_000))}";
        string Text(int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => Word()));
        using var memory = ConversationMemory.OpenOrCreate(folder["memory.db"]);
        var watch = Stopwatch.StartNew();
        memory.Add("talk", [.. Enumerable.Range(0, 100_000).Select(_ => ("user", Text(12)))]);
        output.WriteLine($"added in {watch.ElapsedMilliseconds} ms; {new FileInfo(folder["memory.db"]).Length / 1e6:f1} MB");

        string[] questions = [.. Enumerable.Range(0, 20).Select(_ => Text(8)), "w1", "w1 w2 w3 w4 w5", "w1 w2 w777", "w29999", "unknown"];
        foreach (var only in new[] { null, "talk" })
        {
            memory.Search(questions[0], conversation: only);
            var times = questions.Select(question =>
            {
                var start = Stopwatch.GetTimestamp();
                memory.Search(question, conversation: only);
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }).Order().ToArray();
            var median = times[times.Length / 2];
            output.WriteLine($"{(only is null ? "all" : "one conversation")}: median {median:f1} ms, slowest {times[^1]:f1} ms");
            Assert.InRange(median, 0, 50);
        }
    }
}
