using Transformer.Distributed;
using Transformer.Runs;

namespace Transformer.Tests.Data.Tasks;

/// <summary>Every task against a solver that knows the task from its description only and reads the row as words.</summary>
public sealed class SequenceTaskTests
{
    private static readonly Dictionary<string, (TaskConfig Config, Func<string[], IEnumerable<(int Place, string Answer)>> Solve)> Tasks =
        new()
        {
            ["mqar"] = (
            new MqarTaskConfig { Length = 32, Pairs = 5, Vocabulary = 64, RandomFilling = false }, words => Recall(words, pairs: 5)),
            ["associative_retrieval"] = (new AssociativeRetrievalTaskConfig { Length = 6, Keys = 6, Values = 4 }, Retrieve),
            ["associative_retrieval with replacement"] = (
            new AssociativeRetrievalTaskConfig { Length = 12, Keys = 3, Values = 9, Replacement = true }, Retrieve),
            ["copy"] = (new CopyTaskConfig { Length = 7, Symbols = 11 }, words => AfterBar(words, 7, text => text)),
            ["reverse"] = (new ReverseTaskConfig { Length = 7, Symbols = 11 }, words => AfterBar(words, 7, text => text.Reverse())),
            ["selective_copy"] = (
            new SelectiveCopyTaskConfig { Length = 9, Marked = 4 }, words => AfterBar(words, 9, text => text.Where(word => word != "."))),
            ["selective_copy of all places"] = (
            new SelectiveCopyTaskConfig { Length = 5, Marked = 5 }, words => AfterBar(words, 5, text => text)),
            ["induction_heads"] = (
            new InductionHeadsTaskConfig { Length = 9, Symbols = 5 }, words => [(8, words[Array.IndexOf(words, "*") + 1])]),
            ["the shortest induction"] = (new InductionHeadsTaskConfig { Length = 3 }, words => [(2, words[1])]),
            ["addition"] = (new AdditionTaskConfig { Length = 4 }, words => Sum(words, digits: 4, reversed: false)),
            ["addition reversed"] = (
                new AdditionTaskConfig { Length = 4, Reversed = true }, words => Sum(words, digits: 4, reversed: true)),
            ["parity"] = (
            new ParityTaskConfig { Length = 9 },
            words => words.Index().Select(word => (word.Index, words.Take(word.Index + 1).Count(bit => bit == "1") % 2 == 0 ? "0" : "1"))),
            ["modular_addition"] = (
            new ModularAdditionTaskConfig { Modulus = 23 },
            words => [(2, $"{(int.Parse(words[0]) + int.Parse(words[1])) % 23}")]),
            ["multi_hop"] = (new MultiHopTaskConfig { Hops = 3, Pairs = 5, Symbols = 9, Queries = 4, Length = 30 }, Follow),
            ["multi_hop in a chain of thought"] = (
            new MultiHopTaskConfig { Hops = 3, Pairs = 5, Queries = 4, Length = 36, ChainOfThought = true },
            words => words.Index().Where(word => word.Item[0] == '?')
                .SelectMany(query => Walk(words, query.Index).Select((reached, hop) => (query.Index + 1 + hop, reached)))),
            ["the shortest multi_hop"] = (new MultiHopTaskConfig { Pairs = 3, Queries = 1, Length = 11 }, Follow),
            ["noisy_recall"] = (new NoisyRecallTaskConfig { Length = 24, Noise = 0.4 }, RecallInNoise),
            ["noisy_recall without noise"] = (new NoisyRecallTaskConfig { Length = 4, Noise = 0, Keys = 1 }, RecallInNoise),
            ["memorization"] = (
            new MemorizationTaskConfig { Length = 6, Keys = 9 },
            words => Facts(new() { Length = 6, Keys = 9 }) is var facts
                ? words.Index().Where(word => word.Item == "_").Select(word => (word.Index, facts[words[word.Index - 1]]))
                : []),
        };

    public static TheoryData<string> Kinds => [.. Tasks.Keys];

    [Theory, MemberData(nameof(Kinds))]
    public void A_solver_that_reads_the_row_finds_its_questions_and_answers(string kind)
    {
        var (config, solve) = Tasks[kind];
        Assert.All(TaskRows.Of(config), row => Assert.Equal(
            solve(row.Words).OrderBy(pair => pair.Place),
            row.Answers.Select(answer => (answer.Key, answer.Value)).OrderBy(pair => pair.Key)));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Answers_are_given_before_the_next_one_is_asked_for(string kind)
    {
        if (kind is "mqar" or "parity") return;    // their answers are never read
        foreach (var row in TaskRows.Of(Tasks[kind].Config, rows: 50))
            foreach (var place in row.Answers.Keys.Where(place => row.Answers.ContainsKey(place + 1)))
                Assert.Equal(row.Answers[place], row.Words[place + 1]);
    }

    [Fact]
    public void Every_answer_is_equally_frequent()
    {
        foreach (var (kind, symbols) in new (TaskConfig, int)[]
        {
            (new CopyTaskConfig(), 10), (new InductionHeadsTaskConfig(), 15), (new AssociativeRetrievalTaskConfig { Keys = 64 }, 32),
            (new SelectiveCopyTaskConfig(), 10), (new ParityTaskConfig(), 2), (new MultiHopTaskConfig(), 16),
            (new NoisyRecallTaskConfig(), 8), (new MemorizationTaskConfig { Keys = 32 }, 32),
        })
        {
            var counts = TaskRows.Of(kind, rows: 2000).Select(row => row.Answers.Values.First()).CountBy(answer => answer).ToDictionary();
            var expected = 2000.0 / symbols;
            var chiSquare = counts.Values.Sum(count => Math.Pow(count - expected, 2) / expected) + (symbols - counts.Count) * expected;
            // 31 degrees exceed 75 once in 10,000 seeds
            Assert.True(chiSquare < 75, $"{kind}: chi-square {chiSquare} with {symbols - 1} degrees of freedom");
        }
    }

    [Fact]
    public void Keys_repeat_only_with_replacement()
    {
        static IEnumerable<string> Keys(TaskRows row) => row.Words.SkipLast(1).Where((_, place) => place % 2 == 0);
        Assert.All(
            TaskRows.Of(new AssociativeRetrievalTaskConfig { Length = 8, Keys = 8 }), row => Assert.Equal(8, Keys(row).Distinct().Count()));
        Assert.Contains(
            TaskRows.Of(new AssociativeRetrievalTaskConfig { Length = 8, Keys = 8, Replacement = true }), row =>
                Keys(row).Distinct().Count() < 8);
    }

    [Fact]
    public void Stars_and_marked_symbols_stand_anywhere()
    {
        var stars = TaskRows.Of(new InductionHeadsTaskConfig { Length = 7 }).Select(row => Array.IndexOf(row.Words, "*")).Distinct()
            .Order();
        Assert.Equal([0, 1, 2, 3, 4], stars);
        var marked = TaskRows.Of(new SelectiveCopyTaskConfig { Length = 6, Marked = 2 })
            .Select(row => string.Join(' ', row.Words.Take(6).Index().Where(word => word.Item != ".").Select(word => word.Index)))
            .Distinct();
        Assert.Equal(15, marked.Count());    // 6 positions for two
    }

    [Fact]
    public void Sums_carry_into_every_digit()
    {
        var rows = TaskRows.Of(new AdditionTaskConfig { Length = 2 }, rows: 2000);
        Assert.Contains(rows, row => string.Concat(row.Words).StartsWith("99+", StringComparison.Ordinal));
        Assert.Equal(["0", "1"], rows.Select(row => row.Answers[5]).Distinct().Order());
    }

    [Fact]
    public void Every_number_of_hops_below_the_pairs_leads_to_another_symbol()
    {
        Assert.All(TaskRows.Of(new MultiHopTaskConfig { Pairs = 6, Length = 40 }), row =>
        {
            var next = Pairs(row.Words);
            foreach (var key in next.Keys)
            {
                var reached = new List<string> { key };
                while (reached.Count < 6) reached.Add(next[reached[^1]]);
                Assert.Equal(next.Keys.Order(), reached.Order());
            }
        });
    }

    [Fact]
    public void Pairs_of_hops_stand_anywhere_before_the_queries()
    {
        var starts = TaskRows.Of(new MultiHopTaskConfig { Hops = 1, Pairs = 2, Symbols = 2, Queries = 1, Length = 11 })
            .Select(row => string.Join(' ', row.Words.Take(9).Index().Where(word => word.Item != ".").Select(word => word.Index)))
            .Distinct();
        Assert.Equal(10, starts.Count());    // two pairs, each with its blank, and three more blanks
    }

    [Fact]
    public void Training_rows_ask_for_one_hop_up_to_all_and_validation_rows_and_chains_for_all()
    {
        var task = new MultiHopTaskConfig { Hops = 3 };
        Assert.Equal(["?3"], Hops(TaskRows.Of(task)));
        Assert.Equal(["?1", "?2", "?3"], Hops(TaskRows.ToTrain(task)));
        Assert.Equal(["?3"], Hops(TaskRows.ToTrain(task with { ChainOfThought = true })));

        static IEnumerable<string> Hops(TaskRows[] rows) =>
            rows.SelectMany(row => row.Words).Where(word => word[0] == '?').Distinct().Order();
    }

    [Fact]
    public void Noise_takes_its_share_of_the_pairs_and_its_tokens_are_equally_frequent()
    {
        var noise = TaskRows.Of(new NoisyRecallTaskConfig { Noise = 0.4, NoiseSymbols = 5 })
            .SelectMany(row => row.Words.SkipLast(1)).GroupBy(word => word[0] == 'n').ToDictionary(group => group.Key, Enumerable.ToList);
        // 31 places a row, one of them never noise
        Assert.Equal(0.4 * 30 / 31, noise[true].Count / (double)(noise[true].Count + noise[false].Count), 0.02);
        Assert.All(noise[true].CountBy(word => word), word => Assert.Equal(0.2, word.Value / (double)noise[true].Count, 0.02));
    }

    [Fact]
    public void A_fact_is_the_same_in_training_and_validation_and_no_value_belongs_to_two_keys()
    {
        var task = new MemorizationTaskConfig { Keys = 20 };
        var facts = Facts(task);
        Assert.Equal((20, 20), (facts.Count, facts.Values.Distinct().Count()));
        Assert.All(
            TaskRows.Of(task), row => Assert.All(row.Answers, answer => Assert.Equal(facts[row.Words[answer.Key - 1]], answer.Value)));
        Assert.NotEqual(facts, Facts(task with { Seed = 1 }));
    }

    // The pairs before the first query.
    private static Dictionary<string, string> Pairs(string[] words) =>
        words.TakeWhile(word => word[0] != '?').Where(word => word != ".").Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]);

    private static IEnumerable<(int, string)> Follow(string[] words) => words.Index().Where(word => word.Item[0] == '?')
        .Select(query => (query.Index + 1, Walk(words, query.Index).Last()));

    // The symbols that the hops of a query reach.
    private static IEnumerable<string> Walk(string[] words, int query)
    {
        var next = Pairs(words);
        var reached = words[query + 1];
        for (var hop = int.Parse(words[query][1..]); hop > 0; hop--) yield return reached = next[reached];
    }

    private static IEnumerable<(int, string)> RecallInNoise(string[] words)
    {
        for (var place = 0; place < words.Length; place += 2)
            if (words[place][0] == 'k' && Array.IndexOf(words, words[place]) is var first && first < place)
                yield return (place, words[first + 1]);
    }

    // Read off the training rows, which ask for all of them.
    private static Dictionary<string, string> Facts(MemorizationTaskConfig task) =>
        TaskRows.ToTrain(task).SelectMany(row => row.Answers.Select(answer => (Key: row.Words[answer.Key - 1], answer.Value)))
            .Distinct().ToDictionary(fact => fact.Key, fact => fact.Value);

    // The first positions are key, value, key, value; each repeated key is a query for its value.
    private static IEnumerable<(int, string)> Recall(string[] words, int pairs)
    {
        var values = words.Take(2 * pairs).Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]);
        return words.Index().Skip(2 * pairs).Where(word => values.ContainsKey(word.Item)).Select(word => (word.Index, values[word.Item]));
    }

    private static IEnumerable<(int, string)> Retrieve(string[] words)
    {
        var written = words.SkipLast(1).Chunk(2).Last(pair => pair[0] == words[^1]);
        return [(words.Length - 1, written[1])];
    }

    private static IEnumerable<(int, string)> AfterBar(string[] words, int bar, Func<IEnumerable<string>, IEnumerable<string>> answer)
    {
        Assert.Equal("|", words[bar]);
        return answer(words.Take(bar)).Select((word, i) => (bar + i, word));
    }

    private static IEnumerable<(int, string)> Sum(string[] words, int digits, bool reversed)
    {
        var line = string.Concat(words).Split('+', '=');
        Assert.All(line.Take(2), number => Assert.Equal(digits, number.Length));
        var sum = (int.Parse(line[0]) + int.Parse(line[1])).ToString($"D{digits + 1}");
        return (reversed ? sum.Reverse() : sum).Select((digit, i) => (2 * digits + 1 + i, $"{digit}"));
    }
}
