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
}
