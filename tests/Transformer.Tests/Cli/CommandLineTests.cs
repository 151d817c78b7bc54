using System.CommandLine;
using System.Text.Json.Nodes;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Cli;

public class CommandLineTests
{
    [Theory]
    [InlineData("recipes")]
    [InlineData("recipes --json")]
    [InlineData("config show")]
    [InlineData("config show names --set model.preset=gpt2 --json")]
    [InlineData("config schema")]
    [InlineData("--help")]
    [InlineData("config --help")]
    public async Task A_sound_request_ends_with_0(string line)
    {
        var (code, output, _) = await Run(line.Split(' '));
        Assert.Equal(CommandLine.Done, code);
        Assert.NotEmpty(output);
    }

    [Theory]
    [InlineData("", "Required command was not provided.", "transformer")]
    [InlineData("recipe", "recipe: unknown verb; did you mean recipes?", "transformer")]
    [InlineData("config shw", "shw: unknown verb; did you mean show?", "transformer config")]
    [InlineData("config show --sett a=1", "--sett: unknown option; did you mean --set?", "transformer config show")]
    [InlineData("config show --jsn", "--jsn: unknown option; did you mean --json?", "transformer config show")]
    [InlineData("config show --verbos", "--verbos: unknown option; did you mean --verbose?", "transformer config show")]
    [InlineData("config show names gpt2", "gpt2: unknown argument", "transformer config show")]
    [InlineData("config show --set", "Required argument missing for option: '--set'.", "transformer config show")]
    public async Task A_request_that_does_not_parse_ends_with_2_and_two_lines(string line, string first, string command)
    {
        var (code, output, error) = await Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(CommandLine.Refused, code);
        Assert.Empty(output);
        Assert.Equal([first, $"See {command} --help."], error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_wrong_configuration_ends_with_2_and_its_message_alone()
    {
        var (code, output, error) = await Run("config", "show", "--set", "model.atention=3");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Empty(output);
        Assert.Equal("shakespeare-char: model.atention: unknown key; did you mean model.attention?\n", error);
    }

    [Fact]
    public async Task Exceptions_become_exit_codes_and_one_line()
    {
        Assert.Equal((CommandLine.Refused, "found a, expected b\n"), await RunThrowing(new InputException("found a, expected b")));
        Assert.Equal((CommandLine.Interrupted, "interrupted\n"), await RunThrowing(new OperationCanceledException("interrupted")));
        Assert.Equal((CommandLine.Failed, "disk full somewhere\n"), await RunThrowing(new IOException("disk full\nsomewhere")));
    }

    [Fact]
    public async Task Verbose_shows_the_stack_trace_wherever_it_stands()
    {
        foreach (var line in new[] { "--verbose verb", "verb --verbose" })
        {
            var (code, error) = await RunThrowing(new InputException("found a"), line);
            Assert.Equal(CommandLine.Refused, code);
            Assert.Contains("   at Transformer.Tests.Cli.CommandLineTests", error);
        }
    }

    [Theory]
    // 16, 8 + 8/4, 4 + 12/4 and 16/4 bytes; 16 of a quarter of the blocks and all of the embeddings
    [InlineData(
        "{kind: adamw, learning_rate: 1.0e-3}", "data_parallel 1991036 zero1 1244398 zero2 871078 zero3 497759 tensor_parallel 971046")]
    // 12, 8 + 4/4, 4 + 8/4 and 12/4
    [InlineData(
        "{kind: adamw, learning_rate: 1.0e-3, state_precision: bf16}",
        "data_parallel 1493277 zero1 1119958 zero2 746638 zero3 373319 tensor_parallel 728285")]
    // 84,934,656 matrix weights have one momentum, and muon supports no other strategy
    [InlineData("{kind: muon, learning_rate: 1.0e-2}", "data_parallel 1651298")]
    public async Task What_a_rank_keeps_is_that_of_the_run_s_optimizer(string optimizer, string kilobytes)
    {
        var (_, output, error) = await Run(
            "config", "show", "names", "--set", "model.preset=gpt2",
            "--set", $"training={{steps: 1, batch_size: 4, optimizer: {optimizer}}}", "--ranks", "4", "--json");
        Assert.True(output.Length > 0, error);
        var ranks = JsonNode.Parse(output)!["ranks"]!.AsArray().Select(line => $"{line!["strategy"]} {(long)line["bytes"]! / 1000}");
        Assert.Equal(kilobytes, string.Join(' ', ranks));
    }

    [Fact]
    public async Task Config_show_prints_yaml_that_is_the_same_run_and_the_size_beside_it()
    {
        var (_, output, error) = await Run("config", "show", "names", "--set", "model.preset=gpt2");
        var run = ConfigFile.Load("names", ["model.preset=gpt2"]);
        Assert.Equal(ConfigFile.ToYaml(run), output);
        Assert.Contains("124,439,808", error);
        Assert.Contains("798 MFLOP", error);
        Assert.Contains("475 MiB", error);
    }

    [Fact]
    public async Task Config_show_prints_one_json_object_for_scripts()
    {
        var (_, output, _) = await Run("config", "show", "names", "--set", "model.preset=gpt2", "--json");
        var result = JsonNode.Parse(output)!;
        Assert.Equal(124_439_808, result["size"]!["parameters"]!.GetValue<long>());
        Assert.Equal(12, result["config"]!["model"]!["layers"]!.GetValue<int>());
    }

    [Fact]
    public async Task The_size_of_a_model_whose_vocabulary_is_left_open_is_that_of_its_corpus()
    {
        var (code, _, error) = await Run("config", "show");
        Assert.Equal(CommandLine.Done, code);
        Assert.Contains("8,320", error);    // 65 characters x width 128
        Assert.StartsWith(
            "The size depends on the tokenizer's vocabulary", (await Run("config", "show", "--set", "data.path=missing.txt")).Error);
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(999, "999")]
    [InlineData(1_234, "1.23k")]
    [InlineData(124_439_808, "124M")]
    [InlineData(1_557_611_200, "1.56B")]
    public void Counts_have_three_digits(double count, string expected) => Assert.Equal(expected, Numbers.Count(count));

    private static async Task<(int Code, string Output, string Error)> Run(params string[] arguments)
    {
        var (output, error) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" });
        var code = await CommandLine.RunAsync(Program.Commands(), arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private static async Task<(int Code, string Error)> RunThrowing(Exception exception, string line = "verb")
    {
        var verb = new Command("verb");
        verb.SetAction(int (_) => throw exception);
        var error = new StringWriter { NewLine = "\n" };
        var code = await CommandLine.RunAsync(
            new Command("transformer") { verb, SharedOptions.Verbose }, line.Split(' '), TextWriter.Null, error);
        return (code, error.ToString());
    }
}
