using System.Text;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Generation.Constraints;

namespace Transformer.Tests.Generation.Constraints;

public sealed class TextConstraintRegexTests
{
    private const int Patterns = 1000, TextsAPattern = 12;
    private static readonly string[] Characters = ["a", "b", "0", "_", " ", "\n", "-", "é", "€", "ß"];

    // The pattern here, and the same for .NET, whose \d, \w and \s are Unicode's.
    private static readonly (string Ours, string Theirs)[] Atoms =
    [
        .. Characters.Select(character => (character, character)), (".", "."), (@"\d", "[0-9]"), (@"\D", "[^0-9]"), (@"\w", "[0-9A-Za-z_]"),
        (@"\W", "[^0-9A-Za-z_]"),
        (@"\s", @"[ \t\n\r\f\v]"), (@"\S", @"[^ \t\n\r\f\v]"), ("[ab0]", "[ab0]"), ("[^a]", "[^a]"), ("[a-cé-€]", "[a-cé-€]"),
        (@"[\d\-x]", @"[0-9\-x]"),
        (@"[^\s_]", @"[^ \t\n\r\f\v_]"), (@"\x61", @"\x61"), (@"\u20ac", @"\u20ac"), (@"\.", @"\."), ("[b-]", "[b-]"), ("{a", "{a"),
    ];

    private static readonly string[] Quantifiers = ["*", "+", "?", "{2}", "{1,}", "{0,2}", "{2,3}", "*?", "{0}"];

    // The texts are random ones and walks through the automaton, so that many of them match, unchanged or with a change.
    [Fact]
    public void Texts_match_random_patterns_exactly_where_NET_s_own_regular_expressions_say_so()
    {
        var (random, matching) = (new Random(1337), 0);
        for (var n = 0; n < Patterns; n++)
        {
            var (ours, theirs) = Pattern(random, depth: 3);
            var automaton = TextConstraint.Regex(ours).ToAutomaton();
            var judge = new Regex($@"\A(?:{theirs})\z", RegexOptions.NonBacktracking);
            for (var i = 0; i < TextsAPattern; i++)
            {
                var text = i % 3 == 0 ? Text(random) : i % 3 == 1 ? Walk(automaton, random) : Changed(Walk(automaton, random), random);
                var expected = judge.IsMatch(text);
                Assert.True(expected == Matches(automaton, text), $"{ours} and '{text}': expected {expected}");
                if (expected) matching++;
            }
        }
        Assert.InRange(matching, Patterns * TextsAPattern / 10, Patterns * TextsAPattern * 9 / 10);
    }

    [Fact]
    public void Every_character_of_a_class_and_no_other_matches_by_its_bytes()
    {
        var random = new Random(1337);
        for (var n = 0; n < 3; n++)
        {
            var set = CharacterSet.None;
            for (var ranges = random.Next(1, 4); ranges > 0; ranges--)
            {
                var first = random.Next(random.Next(3) == 0 ? 0x110000 : 0x3000);
                set = set.Union(CharacterSet.Range(first, Math.Min(0x10FFFF, first + random.Next(random.Next(2) == 0 ? 100 : 0x20000))));
            }
            if (set.IsEmpty) continue;
            foreach (var characters in new[] { set, CharacterSet.All.Except(set) })
            {
                var table = new ExpressionTable();
                var automaton = new Automaton(table, Utf8Expressions.Of(table, characters));
                var bytes = new byte[4];
                for (var code = 0; code <= 0x10FFFF; code++)
                {
                    if (!Rune.IsValid(code)) continue;
                    var end = automaton.Next(automaton.Start, bytes.AsSpan(0, new Rune(code).EncodeToUtf8(bytes)));
                    Assert.True(characters.Contains(code) == (end is { Accepts: true }), $"U+{code:X4}");
                }
            }
        }
    }

    [Theory]
    [InlineData("\ud83d\ude00{2}", "😀😀", true)]
    [InlineData("[\ud83d\ude00-\ud83d\ude4f]", "😃", true)]
    [InlineData(".", "😀", true)]
    [InlineData(".", "\n", false)]
    [InlineData("^ab$", "ab", true)]
    [InlineData("^a|b$", "a", true)]
    [InlineData("^a|b$", "ab", false)]
    [InlineData("(?:a|b)c", "bc", true)]
    [InlineData("", "", true)]
    [InlineData("a||b", "", true)]
    [InlineData("""{"a": \d{2}}""", """{"a": 42}""", true)]
    [InlineData("a{,b", "a{,b", true)]
    [InlineData("[]-a]", "a", null)]
    [InlineData("[a-]", "-", true)]
    public void What_a_pattern_means_is_what_is_written_down(string pattern, string text, bool? matches)
    {
        if (matches is { } expected) Assert.Equal(expected, Matches(TextConstraint.Regex(pattern).ToAutomaton(), text));
        else Assert.Throws<InputException>(() => TextConstraint.Regex(pattern));
    }

    [Theory]
    [InlineData("(a", "regex: position 0 of the pattern: '(' without ')'")]
    [InlineData("ab)", "position 2 of the pattern: ')' without '('")]
    [InlineData("a[b", "position 1 of the pattern: '[' without ']'")]
    [InlineData("[]", "position 1 of the pattern: ']' directly behind '[' is read in two ways")]
    [InlineData("[]a]", "position 1 of the pattern: ']' directly behind '[' is read in two ways")]
    [InlineData("x[^]a]", "position 3 of the pattern: ']' directly behind '^' is read in two ways")]
    [InlineData("[A-[B]]", "position 3 of the pattern: '[' within a class")]
    [InlineData("[!-[a]]", "position 3 of the pattern: '[' within a class")]
    [InlineData("[a-z-[aeiou]]", "position 5 of the pattern: '[' within a class")]
    [InlineData(@"[\w-[a]]", "position 4 of the pattern: '[' within a class")]
    [InlineData(@"[^\s\S]", "a class without a character")]
    [InlineData("[z-a]", "no first and last one in order")]
    [InlineData(@"[\d-z]", "no first and last one in order")]
    [InlineData("[[:alpha:]]", "'[' within a class")]
    [InlineData("*a", "'*' has nothing to repeat")]
    [InlineData("{2}", "'{' has nothing to repeat")]
    [InlineData("a**", "two quantifiers in a row")]
    [InlineData("a*+", "two quantifiers in a row")]
    [InlineData("a{1000}{1000}", "two quantifiers in a row")]
    [InlineData("a{3,2}", "at least 3 and at most 2 times")]
    [InlineData("a{,2}", "read in two ways")]
    [InlineData("a{1000000000}", "1000000000 repeats, expected 1000000 at most")]
    [InlineData("a{99999999999999999999999999}", "a count of many digits")]
    [InlineData("a^b", "'^' stands where a text neither begins nor ends")]
    [InlineData("a$b", "'$' stands where a text neither begins nor ends")]
    [InlineData("(^a)", "'^' stands where")]
    [InlineData(@"\bword", @"'\b' is unknown here")]
    [InlineData(@"(a)\1", @"'\1' is unknown here")]
    [InlineData(@"\p{L}", @"'\p' is unknown here")]
    [InlineData(@"a\", @"ends with a '\'")]
    [InlineData(@"\x4", "without 2 hexadecimal digits")]
    [InlineData(@"\ud83d", "half of a character")]
    [InlineData("(?=a)b", "a group that begins with (? is unknown")]
    [InlineData("(?<name>a)", "a group that begins with (? is unknown")]
    public void What_is_no_pattern_of_this_kind_is_refused_by_name_and_position(string pattern, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(() => TextConstraint.Regex(pattern)).Message);

    [Fact]
    public void Half_of_a_character_is_none() =>
        Assert.Contains("half of a character", Assert.Throws<InputException>(() => TextConstraint.Regex("a\ud83d")).Message);

    [Fact]
    public void Groups_within_groups_end_somewhere()
    {
        Assert.Contains("100 at most", Assert.Throws<InputException>(() => TextConstraint.Regex(new string('(', 1_000_000))).Message);
        TextConstraint.Regex(new string('(', 100) + "a" + new string(')', 100));
    }

    // Written out this is a million letters; here it is two counts.
    [Fact]
    public void Repeats_of_repeats_cost_as_much_as_the_text_is_long()
    {
        var automaton = TextConstraint.Regex("(a{1000}){1000}").ToAutomaton();
        Assert.Null(automaton.Next(automaton.Start, "ab"u8));
        Assert.NotNull(automaton.Next(automaton.Start, Encoding.UTF8.GetBytes(new string('a', 5000))));
        Assert.InRange(automaton.States, 5000, 5002);
    }

    [Theory]
    [InlineData("(a{0,1000}){0,1000}")]
    [InlineData("((a?){0,500}(a?){0,500}){0,500}b")]
    [InlineData("(a|aa|aaa|aaaa){1000,}(a|b){0,1000000}b")]
    [InlineData("(.*a.{10,30}){20}")]
    public void An_expression_that_needs_too_many_states_is_refused_before_it_takes_the_memory(string pattern)
    {
        var automaton = TextConstraint.Regex(pattern).ToAutomaton();
        var (state, random) = (automaton.Start, new Random(1337));
        var refusal = Assert.Throws<InputException>(() =>
        {
            for (var length = 0; length < 1_000_000; length++)
                state = (random.Next(2) == 0 ? automaton.Next(state, (byte)'c') : null) ?? automaton.Next(state, (byte)'a')!;
        });
        Assert.Contains("too many states", refusal.Message);
        Assert.InRange(automaton.States, 10, 1000);
    }

    [Theory]
    [InlineData("[a-z]{1000000}", "k")]
    [InlineData("(.|é|ü|日){1000000}", "日")]
    [InlineData("(.*[a-m].{20})", "az")]
    [InlineData("(a{0,1000}){0,1000}", "a")]
    public void An_expression_is_refused_before_it_takes_a_hundred_and_fifty_megabytes(string pattern, string letters)
    {
        var (automaton, random, before) = (
            TextConstraint.Regex(pattern).ToAutomaton(), new Random(1337), GC.GetTotalMemory(forceFullCollection: true));
        var state = automaton.Start;
        var refusal = Assert.Throws<InputException>(() =>
        {
            for (var length = 0; length < 999_990; length++)
                state = automaton.Next(state, Encoding.UTF8.GetBytes($"{letters[random.Next(letters.Length)]}"))!;
        });
        Assert.Contains("too many states", refusal.Message);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 10_000_000, 150_000_000);
        GC.KeepAlive(automaton);
    }

    private static bool Matches(Automaton automaton, string text) =>
        automaton.Next(automaton.Start, Encoding.UTF8.GetBytes(text)) is { Accepts: true };

    private static (string Ours, string Theirs) Pattern(Random random, int depth)
    {
        var alternatives = Enumerable.Range(0, random.Next(5) == 0 ? 2 : 1)
            .Select(_ => Enumerable.Range(0, random.Next(1, 4)).Select(_ => Part()).ToArray()).ToArray();
        return (Joined(part => part.Ours), Joined(part => part.Theirs));

        string Joined(Func<(string Ours, string Theirs), string> side) =>
            string.Join('|', alternatives.Select(parts => string.Concat(parts.Select(side))));

        (string Ours, string Theirs) Part()
        {
            var (ours, theirs) = Atoms[random.Next(Atoms.Length)];
            if (depth > 0 && random.Next(3) == 0)
            {
                var (inner, open) = (Pattern(random, depth - 1), random.Next(2) == 0 ? "(" : "(?:");
                (ours, theirs) = ($"{open}{inner.Ours})", $"{open}{inner.Theirs})");
            }
            var quantifier = random.Next(3) == 0 ? Quantifiers[random.Next(Quantifiers.Length)] : "";
            return (ours + quantifier, theirs + quantifier);
        }
    }

    private static string Text(Random random) =>
        string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => Characters[random.Next(Characters.Length)]));

    // Draws characters that can follow, as long as there is one, until the text may end and a coin flip ends it.
    private static string Walk(Automaton automaton, Random random)
    {
        var (state, text) = (automaton.Start, new StringBuilder());
        while (text.Length < 12 && !(state.Accepts && random.Next(3) == 0))
        {
            var next = Characters.Select(character => (character, State: automaton.Next(state, Encoding.UTF8.GetBytes(character))))
                .Where(pair => pair.State is not null).ToList();
            if (next.Count == 0) break;
            var (character, reached) = next[random.Next(next.Count)];
            text.Append(character);
            state = reached!;
        }
        return text.ToString();
    }

    private static string Changed(string text, Random random)
    {
        if (text.Length == 0) return "a";
        var at = random.Next(text.Length);
        return random.Next(2) == 0 ? text.Remove(at, 1) : text.Insert(at, Characters[random.Next(Characters.Length)]);
    }
}
