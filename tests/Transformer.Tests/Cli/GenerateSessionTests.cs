using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Cli;

/// <summary><c>generate</c> with <c>--save-state</c>, <c>--state</c> and <c>--context-policy</c>.</summary>
public sealed class GenerateSessionTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string model, state;

    public GenerateSessionTests()
    {
        (model, state) = (folder["model"], folder["state"]);
        manual_seed(41);
        using var made = new TransformerModel(Tiny.Config);
        CheckpointFolder.Save(model, made.Config, made.Weights.ToStored(), new CharacterTokenizer([.. "abcdefgh: \nij".EnumerateRunes()]));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Parts_of_a_text_follow_each_other_as_one()
    {
        string[] settings = ["--temperature", "0.7", "--seed", "3", "--repetition-penalty", "1.1"];
        var whole = await CliRun.Of(["generate", model, "--prompt", "abc", "--max-tokens", "30", .. settings]);
        var first = await CliRun.Of(["generate", model, "--prompt", "abc", "--max-tokens", "11", "--save-state", state, .. settings]);
        var second = await CliRun.Of("generate", model, "--state", state, "--max-tokens", "4", "--save-state", state);
        var third = await CliRun.Of("generate", model, "--state", state, "--max-tokens", "15");
        Assert.Equal(whole.Output, $"{first.Output[..^1]}{second.Output[..^1]}{third.Output}");
        Assert.Equal((CommandLine.Done, whole.Error), (third.Code, third.Error));
    }

    [Fact]
    public async Task More_text_goes_on_and_settings_that_are_given_are_new()
    {
        await CliRun.Of("generate", model, "--prompt", "abc", "--max-tokens", "2", "--temperature", "0.7", "--save-state", state);
        var earlier = await CliRun.Of("generate", model, "--prompt", "abc", "--max-tokens", "2", "--temperature", "0.7");
        var expected = await CliRun.Of("generate", model, "--prompt", $"{earlier.Output[..^1]}de", "--max-tokens", "3", "--greedy");
        var found = await CliRun.Of("generate", model, "--state", state, "--prompt", "de", "--max-tokens", "3", "--greedy");
        Assert.Equal(expected.Output, $"{earlier.Output[..^1]}{found.Output}");
    }

    [Theory]
    [InlineData("slide", """{"policy":"slide","tokens":111,"turns":0}""", "slide dropped 111 tokens.")]
    [InlineData("sinks", """{"policy":"sinks","tokens":105,"turns":0}""", "sinks dropped 105 tokens.")]
    [InlineData("turns", """{"policy":"turns","tokens":105,"turns":35}""", "turns dropped 105 tokens in 35 turns.")]
    public async Task What_a_policy_drops_is_in_the_result_and_told_in_one_line(string policy, string dropped, string told)
    {
        var file = folder.Write("prompt", $"a: {string.Concat(Enumerable.Repeat("\nb:", 38))}");
        var run = await CliRun.Of("generate", model, "--prompt-file", file, "--max-tokens", "1", "--context-policy", policy, "--json");
        Assert.Equal(($"The context of 12 tokens is full: {told}\n", CommandLine.Done), (run.Error, run.Code));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(dropped), run.Json["samples"]![0]!["dropped"]), run.Output);
    }

    [Fact]
    public async Task A_text_ends_under_stop_where_the_context_is_full()
    {
        var run = await CliRun.Of("generate", model, "--prompt", "abc", "--max-tokens", "120", "--context-policy", "stop", "--json");
        Assert.Equal("The context of 12 tokens is full: nothing was dropped, and the text ends there.\n", run.Error);
        var sample = run.Json["samples"]![0]!;
        Assert.Equal(("context_full", 10), ((string)sample["finish_reason"]!, sample["tokens"]!.AsArray().Count));
    }

    [Fact]
    public async Task One_dropped_turn_is_one_turn()
    {
        var file = folder.Write("prompt", "a: \nb:\nb:\nb:\nb:");
        var run = await CliRun.Of("generate", model, "--prompt-file", file, "--max-tokens", "1", "--context-policy", "turns");
        Assert.Equal("The context of 12 tokens is full: turns dropped 3 tokens in 1 turn.\n", run.Error);
    }

    [Fact]
    public async Task A_constraint_of_a_saved_part_is_said_to_go_on()
    {
        var run = await CliRun.Of("generate", model, "--prompt", "a", "--regex", "[a-j]{9}", "--max-tokens", "3", "--save-state", state);
        Assert.Contains("the constraint goes on with --state.", run.Error);
    }

    [Fact]
    public async Task What_was_held_back_stands_before_more_text_and_at_the_end_of_the_last_part()
    {
        string[] settings = ["--regex", "abcabcd.*", "--stop", "abci", "--max-tokens", "6"];
        var last = await CliRun.Of(["generate", model, "--prompt", "j", .. settings]);
        var first = await CliRun.Of(["generate", model, "--prompt", "j", .. settings, "--save-state", state]);
        var more = await CliRun.Of("generate", model, "--state", state, "--prompt", "ij", "--regex", "e", "--max-tokens", "1");
        Assert.Equal(("jabcabc\n", "jabc\n", "abcije\n"), (last.Output, first.Output, more.Output));
        var same = await CliRun.Of("generate", model, "--state", state, "--max-tokens", "1", "--stop", "di");
        Assert.Equal("abcd\n", same.Output);
    }

    [Fact]
    public async Task Where_the_reader_has_gone_the_text_is_saved_as_where_it_is_interrupted()
    {
        string[] settings = ["--prompt", "abc", "--seed", "3"];
        var whole = await CliRun.Of(["generate", model, .. settings, "--max-tokens", "12"]);
        using var closed = new ClosedPipe();
        var code = await CommandLine.RunAsync(
            Program.Commands(), ["generate", model, .. settings, "--max-tokens", "10000000", "--save-state", state], closed,
            TextWriter.Null);
        Assert.Equal(CommandLine.Done, code);
        var rest = await CliRun.Of("generate", model, "--state", state, "--max-tokens", "11");
        Assert.Equal(whole.Output[4..], rest.Output);
    }

    // The name has room for a lock beside it, but not for the new file.
    [Fact]
    public async Task The_output_is_written_where_the_state_cannot_be_saved()
    {
        var file = folder[new string('s', 216)];
        var run = await CliRun.Of("generate", model, "--prompt", "abc", "--max-tokens", "3", "--json", "--save-state", file);
        Assert.Equal((CommandLine.Refused, 3), (run.Code, run.Json["samples"]![0]!["tokens"]!.AsArray().Count));
        Assert.Contains("cannot be written", run.Error);
    }

    [Fact]
    public async Task What_is_no_saved_state_is_not_replaced()
    {
        var file = folder.Write("notes", "what I know");
        await CliRun.Refuses($"generate {model} --save-state {file}", "notes: is there already and is no saved state");
        File.CreateSymbolicLink(state, file);
        await CliRun.Refuses($"generate {model} --save-state {state}", "state: is a link");
        await CliRun.Refuses($"generate {model} --save-state {folder.Path}", "it is a folder");
        Assert.Equal("what I know", File.ReadAllText(file));
    }

    [Fact]
    public async Task Pipes_are_neither_read_nor_replaced()
    {
        if (OperatingSystem.IsWindows()) return;
        using (var made = Process.Start("mkfifo", state)) await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        await CliRun.Refuses($"generate {model} --state {state}", "state: cannot be read (it is a folder, a pipe or a device");
        await CliRun.Refuses($"generate {model} --save-state {state}", "state: is a link, a pipe or a device");
    }

    [Theory]
    [InlineData("--save-state s --count 2", "--count: found 2, but --save-state holds one text")]
    [InlineData("--state s --prompts p", "--state: means nothing beside --prompts")]
    [InlineData("--save-state s --beams 2", "--save-state: means nothing beside --beams")]
    [InlineData("--state s --draft-tokens 2", "--draft-tokens: means nothing beside --state")]
    [InlineData("--state s --regex a", "give them together with --prompt")]
    [InlineData("--state none", "none: cannot be read")]
    [InlineData("--save-state none/s", "none/s: cannot be written")]
    [InlineData("--context-policy sink", "--context-policy: found sink, expected")]
    [InlineData("--context-policy slide --beams 2", "--context-policy: means nothing beside --beams")]
    [InlineData("--context-policy sinks --draft-tokens 2", "means nothing beside the context policy sinks")]
    public Task What_cannot_be_done_is_refused_by_name(string options, string message) =>
        CliRun.Refuses($"generate {model} {options}", message);

    // Takes the prompt and no more.
    private sealed class ClosedPipe : TextWriter
    {
        private int pieces;

        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(string? value)
        {
            if (pieces++ > 0) throw new OutputException("closed", isClosedPipe: true);
        }

        public override void WriteLine() => Write("");
    }
}
