using System.CommandLine;
using Transformer.Cli;

namespace Transformer.Tests.Cli;

/// <summary>Every option with a number, of every verb.</summary>
public class NumberOptionTests
{
    // Where a negative number means something.
    private static readonly string[] Signed = ["--seed", "--length-penalty"];

    /// <summary>A verb's words, an option of it, and whether it takes whole numbers.</summary>
    public static TheoryData<string, string> Options { get; } = new(
        from command in Verbs(Program.Commands(), [])
        from option in command.Verb.Options.Where(option => IsNumber(option.ValueType))
        select (string.Join(' ', command.Words), option.Name));

    [Fact]
    public void The_verbs_have_many_options_with_a_number() => Assert.InRange(Options.Count, 20, 200);

    [Theory, MemberData(nameof(Options))]
    public async Task A_value_that_is_no_number_within_the_bounds_is_refused_in_one_line_as_it_was_typed(string verb, string option)
    {
        foreach (var text in (string[])["0,7", "1,000", "inf", "nan", "Infinity", "1e99", "-1", "", " ", "0x10", "1_000", "many"])
        {
            string[] arguments = [.. verb.Split(' '), .. Arguments(verb), option, text];
            if (text == "-1" && Signed.Contains(option))
            {
                Assert.Null(CommandLine.ProblemOf(CommandLine.Parse(Program.Commands(), arguments)));
                continue;
            }
            var run = await CliRun.Of(arguments);
            Assert.Equal((CommandLine.Refused, ""), (run.Code, run.Output));
            var line = Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
            Assert.StartsWith($"{option}: found {(text.Length == 0 ? "nothing" : text)}, expected a ", line);
            Assert.DoesNotContain("System.", line);
        }
    }

    [Theory, MemberData(nameof(Options))]
    public void A_number_has_bounds_on_both_sides(string verb, string option)
    {
        foreach (var text in (string[])["99999999999999999999", "-99999999999999999999"])
        {
            var request = CommandLine.Parse(Program.Commands(), [.. verb.Split(' '), .. Arguments(verb), option, text]);
            Assert.StartsWith($"{option}: found {text}, expected a ", CommandLine.ProblemOf(request));
        }
    }

    [Theory]
    [InlineData("generate m --count 1000000", "--count: found 1000000, expected a whole number from 1 to 100000; for more, run again")]
    [InlineData("generate m --beams 1000000", "--beams: found 1000000, expected a whole number from 1 to 1024; each has a state")]
    [InlineData("generate m --threads 20000", "expected a whole number from 1 to 1024; more threads than cores are not faster")]
    [InlineData("generate m --prompts p --parallel 2147483647", "--parallel: found 2147483647, expected a whole number from 1 to 1024")]
    [InlineData("generate m --repetition-penalty 1e-45", "--repetition-penalty: found 1e-45, expected a number from 0.01 to 100; 1 is off")]
    [InlineData("bench scaling --length 1024 --length 7,5", "--length: found 7,5, expected a whole number from 1 to")]
    [InlineData("export m --out o --format gguf --verify=maybe", "maybe: unknown argument")]
    [InlineData("doctor --json=maybe", "maybe: unknown argument")]
    [InlineData("reproduce associative-retrieval --rule delt", "--rule: found delt, expected one of softmax, elu, dpfp1, dpfp2, delta")]
    public Task A_value_is_refused_with_the_reason_or_what_to_do(string line, string message) => CliRun.Refuses(line, message);

    [Theory]
    [InlineData("--max-tokens", "1e2", 100)]
    [InlineData("--max-tokens", "7.0", 7)]
    [InlineData("--max-tokens", "+7", 7)]
    [InlineData("--count", "100000", 100_000)]
    public void A_whole_number_may_be_written_in_any_form(string option, string text, int number)
    {
        var request = CommandLine.Parse(Program.Commands(), ["generate", "m", option, text]);
        Assert.Null(CommandLine.ProblemOf(request));
        Assert.Equal(number, request.GetValue<int>(option));
    }

    [Theory]
    [InlineData("generate", "m", "--prompt", "@alice hello")]
    [InlineData("generate", "m", "--regex", "@[a-z]+")]
    [InlineData("generate", "m", "--stop", "@")]
    [InlineData("generate", "@m")]
    public void A_text_that_begins_with_an_at_sign_is_that_text(params string[] arguments)
    {
        var request = CommandLine.Parse(Program.Commands(), arguments);
        Assert.Null(CommandLine.ProblemOf(request));
        Assert.Equal(arguments[^1], request.Tokens[^1].Value);
    }

    private static IEnumerable<(string[] Words, Command Verb)> Verbs(Command above, string[] words) => above.Subcommands.SelectMany(
        verb => Verbs(verb, [.. words, verb.Name]).Prepend(([.. words, verb.Name], verb)));

    private static bool IsNumber(Type type) => (Nullable.GetUnderlyingType(type) ?? type.GetElementType() ?? type) is { IsEnum: false } one
        && Type.GetTypeCode(one) is >= TypeCode.SByte and <= TypeCode.Decimal;

    // What the verb requires.
    private static IEnumerable<string> Arguments(string verb)
    {
        var command = verb.Split(' ').Aggregate(Program.Commands(), (above, word) => above.Subcommands.Single(below => below.Name == word));
        return command.Arguments.Where(argument => argument.Arity.MinimumNumberOfValues > 0).Select(_ => "x")
            .Concat(command.Options.Where(option => option.Required).SelectMany(option => new[] { option.Name, "x" }));
    }
}
