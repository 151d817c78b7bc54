using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Cli;

public sealed class GenerateVerbTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string model, draft;

    public GenerateVerbTests()
    {
        model = Save("model", Tiny.Config, "abcdefghijklm");
        draft = Save("draft", Tiny.Config with { Layers = 1 }, "abcdefghijklm");
    }

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("prompts.txt", "abc\nabcd\n\nm\n")]
    [InlineData("prompts.jsonl", "{\"prompt\": \"abc\"}\n{\"prompt\": \"abcd\"}\n{\"prompt\": \"m\"}\n")]
    public async Task Prompts_of_a_file_are_continued_as_each_alone_in_their_order(string name, string content)
    {
        var file = folder.Write(name, content);
        foreach (var parallel in new[] { 1, 2 })
        {
            var run = await CliRun.Of(
                "generate", model, "--prompts", file, "--max-tokens", "15", "--count", "2", "--parallel", $"{parallel}");
            var alone = new List<string>();
            foreach (var prompt in new[] { "abc", "abcd", "m" })
                alone.Add((await CliRun.Of("generate", model, "--prompt", prompt, "--max-tokens", "15", "--count", "2")).Output);
            Assert.Equal((CommandLine.Done, string.Join("---------------\n", alone)), (run.Code, run.Output));
        }
    }

    [Fact]
    public async Task A_line_has_options_of_its_own_and_the_result_says_what_was_not_read_again()
    {
        var file = folder.Write("prompts.jsonl", """
            {"prompt": "abcdef", "max_tokens": 1}
            {"prompt": "abcdeg", "max_tokens": 3, "temperature": 0.5, "seed": 9, "stop": ["zz"]}
            """);
        var result = (await CliRun.Of("generate", model, "--prompts", file, "--parallel", "1", "--json")).Json;
        var alone = (await CliRun.Of(
            "generate", model, "--prompt", "abcdeg", "--max-tokens", "3", "--temperature", "0.5", "--seed", "9", "--json")).Json;
        Assert.Equal(alone["samples"]![0]!["text"]!.GetValue<string>(), result["samples"]![1]!["text"]!.GetValue<string>());
        Assert.Equal(("abcdeg", 5, "max_tokens"), ((string)result["samples"]![1]!["prompt"]!, (int)result["samples"]![1]!["reused_tokens"]!,
            (string)result["samples"]![1]!["finish_reason"]!));
        Assert.Equal((5, 6 + 1 + 2), ((int)result["tokens_reused"]!, (int)result["tokens_read"]!));
    }

    // After a the text is complete; after b no token can follow.
    [Fact]
    public async Task A_sample_that_fails_is_told_with_its_line_and_the_others_are_written()
    {
        var file = folder.Write(
            "prompts.jsonl",
            string.Join('\n', Enumerable.Range(0, 8).Select(seed => $$"""{"prompt": "{{"cdefghij"[seed]}}", "seed": {{seed}}}""")));
        string[] arguments = ["generate", model, "--prompts", file, "--regex", "a|bz", "--parallel", "3"];
        var (run, json) = (await CliRun.Of(arguments), await CliRun.Of([.. arguments, "--json"]));
        var samples = json.Json["samples"]!.AsArray();
        var failed = Enumerable.Range(0, 8).Where(number => samples[number]!["error"] is not null).ToArray();

        Assert.Equal((CommandLine.Refused, CommandLine.Refused), (run.Code, json.Code));
        Assert.InRange(failed.Length, 1, 7);
        Assert.Equal(string.Concat(failed.Select(number => $"{file}:{number + 1}: {samples[number]!["error"]}\n")), run.Error);
        Assert.Equal(run.Error, json.Error);
        Assert.All(failed, number => Assert.StartsWith("the constraint requires 'z' next", (string)samples[number]!["error"]!));
        Assert.Equal(
            string.Join("---------------\n", Enumerable.Range(0, 8).Except(failed).Select(number => $"{"cdefghij"[number]}a\n")),
            run.Output);
        Assert.All(Enumerable.Range(0, 8).Except(failed), number => Assert.Equal("a", (string)samples[number]!["text"]!));
    }

    [Fact]
    public async Task Prompts_of_a_file_are_noted_where_they_are_cut_or_outgrow_the_context()
    {
        var file = folder.Write(
            "prompts.jsonl",
            "{\"prompt\": \"a\", \"max_tokens\": 2}\n{\"prompt\": \"b\", \"max_tokens\": 20}\n{\"prompt\": \"abcdef\", \"max_tokens\": 8}");
        var run = await CliRun.Of("generate", model, "--prompts", file, "--regex", "[a-m]{15}");
        Assert.Equal(
            "The context of 12 tokens is full: slide dropped 14 tokens of 2 of 3 samples.\n" +
            "2 of 3 samples reached max_tokens before the constraint ended them; raise --max-tokens where the text is not whole.\n",
            run.Error);
        Assert.Equal(CommandLine.Done, run.Code);
    }

    [Theory]
    [InlineData("p.txt", "\n", "p.txt: holds no prompts")]
    [InlineData("p.txt", "abc\nxyz", "p.txt:2: ")]
    [InlineData("p.txt", "abc\nabcdefghijklm", "p.txt:2: prompt: 13 tokens do not fit")]
    [InlineData("p.txt", "abc\nabcdefghijklm", "Shorten it to 12 or fewer.\n")]
    [InlineData("p.jsonl", "{\"prompt\": \"a\"}\nabc", "p.jsonl:2: is no JSON")]
    [InlineData("p.jsonl", "{\"prompt\": \"a\", \"prompt\": \"b\"}", "p.jsonl:1: is no JSON")]
    [InlineData("p.jsonl", "{\"prompt\": \"\\ud800\"}", "p.jsonl:1: is no JSON")]
    [InlineData("p.jsonl", "{\"prompt\": \"a\", \"constraint\": {}}", "constraint: unknown key")]
    [InlineData("p.jsonl", "{\"text\": \"a\"}", "p.jsonl:1: found {\"text\":\"a\"}")]
    [InlineData("p.jsonl", "{\"prompt\": \"a\", \"temprature\": 1}", "did you mean temperature?")]
    [InlineData("p.jsonl", "{\"prompt\": \"a\", \"top_p\": 2}", "p.jsonl:1: top_p: found 2")]
    public Task A_file_with_a_wrong_prompt_is_refused_with_its_line(string name, string content, string message) =>
        CliRun.Refuses($"generate {model} --prompts {folder.Write(name, content)}", message);

    [Fact]
    public async Task A_draft_model_changes_no_greedy_text_and_how_many_draft_tokens_were_accepted_is_reported()
    {
        var alone = await CliRun.Of("generate", model, "--prompt", "abc", "--greedy", "--max-tokens", "9");
        var drafted = await CliRun.Of(
            "generate", model, "--prompt", "abc", "--greedy", "--max-tokens", "9", "--draft", draft, "--draft-tokens", "3");
        Assert.Equal(alone.Output, drafted.Output);
        Assert.Matches(@"^speculative decoding: \d+ of \d+ draft tokens accepted \(\d+ ?%\); 9 tokens in \d passes\.\n$", drafted.Error);

        var itself = (await CliRun.Of(
            "generate", model, "--prompt", "abc", "--max-tokens", "9", "--draft", model, "--draft-tokens", "2", "--json")).Json;
        Assert.Equal("{\"passes\":3,\"drafted\":6,\"accepted\":6,\"acceptance_rate\":1}", itself["speculation"]!.ToJsonString());
    }

    [Fact]
    public async Task Bench_speculation_gives_numbers_that_belong_together()
    {
        var result = (await CliRun.Of(
            $"bench speculation {model} --draft {model} --draft-tokens 2 --prompt abc --max-tokens 9 --rounds 3 --json")).Json;
        Assert.Equal((1, 3.0, 2), ((double)result["acceptance_rate"]!, (double)result["tokens_per_pass"]!, (int)result["draft_tokens"]!));
        Assert.InRange((double)result["speed_up"]!, (double)result["speed_up_minimum"]!, (double)result["speed_up_maximum"]!);
        Assert.Matches(
            "speed-up +[0-9.]+ \\(from", (await CliRun.Of($"bench speculation {model} --prompt abc --max-tokens 9 --rounds 1")).Output);
    }

    [Fact]
    public async Task A_draft_of_another_tokenizer_is_refused()
    {
        var other = Save("other", Tiny.Config, "abcdefghijkln");
        await CliRun.Refuses($"generate {model} --prompt abc --draft {other}", "--draft: the tokenizer of");
    }

    [Fact]
    public async Task Beams_write_the_likeliest_text_the_same_each_time()
    {
        var line = $"generate {model} --prompt abc --beams 4 --count 3 --max-tokens 6 --length-penalty 0.5";
        var found = (await CliRun.Of($"{line} --json")).Json["samples"]!.AsArray();
        var scores = found.Select(sample => (double)sample!["score"]!).ToArray();
        Assert.Equal(scores.OrderDescending(), scores);
        Assert.All(found, sample => Near.Equal((double)sample!["log_probability"]! / Math.Sqrt(6), (double)sample["score"]!, 1e-9));
        var run = await CliRun.Of(line);
        Assert.Equal(run.Output, (await CliRun.Of(line)).Output);
        Assert.Equal(found.Select(sample => "abc" + (string)sample!["text"]!), run.Output.TrimEnd().Split("\n---------------\n"));

        var greedy = await CliRun.Of("generate", model, "--prompt", "abc", "--greedy", "--max-tokens", "6");
        Assert.Equal(greedy.Output, (await CliRun.Of("generate", model, "--prompt", "abc", "--beams", "1", "--max-tokens", "6")).Output);
    }

    // They are made in batches of 64; the seed's streams of random numbers go on from one to the next.
    [Fact]
    public async Task Samples_do_not_depend_on_the_batches_that_they_are_made_in()
    {
        var (all, some) = (await Samples("100"), await Samples("70"));
        Assert.Equal(100, all.Length);
        Assert.Equal(all[..70], some);
        Assert.True(all.Distinct().Count() > 50);

        async Task<string[]> Samples(string count) =>
            (await CliRun.Of("generate", model, "--prompt", "abc", "--max-tokens", "6", "--count", count)).Output.TrimEnd('\n')
                .Split("\n---------------\n");
    }

    // The context has 12 tokens: 3 and 10 fit, since the last one is never read.
    [Theory]
    [InlineData("10", false)]
    [InlineData("11", true)]
    public async Task A_full_context_is_told_only_where_something_was_cut(string tokens, bool isTold)
    {
        var file = folder.Write("prompts.txt", "abc\n");
        foreach (var prompt in (string[][])[["--prompt", "abc"], ["--prompts", file]])
        {
            var run = await CliRun.Of(["generate", model, .. prompt, "--max-tokens", tokens, "--greedy"]);
            Assert.Equal(isTold, run.Error.Contains("The context of 12 tokens is full", StringComparison.Ordinal));
        }
    }

    [Fact]
    public Task The_only_prompt_has_no_number() =>
        CliRun.Refuses($"generate {model} --prompt abcdefghijklm", "prompt: 13 tokens do not fit the context length of 12");

    [Fact]
    public Task Samples_of_many_prompts_have_a_bound_together() => CliRun.Refuses(
        $"generate {model} --prompts {folder.Write("p.txt", "a\nb\n")} --count 60000",
        "--count: 60000 samples of each of 2 prompts are 120000, expected 100000 together at most.");

    [Theory]
    [InlineData("--beams 2 --temperature 0.5 --top-k 3", "--temperature, --top-k: means nothing beside --beams")]
    [InlineData("--greedy --temperature 0.5 --top-p 0.9", "--temperature, --top-p: means nothing beside --greedy")]
    [InlineData("--draft-tokens 65", "--draft-tokens: found 65, expected a whole number from 0 to 64")]
    [InlineData("--beams 2 --draft-tokens 3", "--draft-tokens: means nothing beside --beams")]
    [InlineData("--beams 2 --stop a", "--stop: means nothing beside --beams")]
    [InlineData("--beams 2 --prompt abcdefghijklm", "Shorten it to 12 or fewer.\n")]
    [InlineData("--beams 2 --count 3", "at most the 2 beams")]
    [InlineData("--beams 0", "--beams: found 0")]
    [InlineData("--length-penalty 2", "--length-penalty: means nothing without --beams")]
    [InlineData("--prompts p --prompt a --beams 2", "--prompt, --beams: means nothing beside --prompts")]
    [InlineData("--parallel 2", "--parallel: means nothing without --prompts")]
    [InlineData("--draft d --draft-tokens 0", "--draft-tokens: found 0, but --draft needs 1 or more")]
    [InlineData("--draft-tokens 2 --count 2", "--count: found 2, but draft tokens are for one text alone")]
    [InlineData("--prompts none.txt", "none.txt: cannot be read")]
    public Task What_does_not_go_together_is_refused_by_name(string options, string message) =>
        CliRun.Refuses($"generate {model} {options}", message);

    private string Save(string name, ModelConfig config, string letters)
    {
        manual_seed(41);
        using var made = new TransformerModel(config);
        CheckpointFolder.Save(folder[name], config, made.Weights.ToStored(), new CharacterTokenizer([.. letters.EnumerateRunes()]));
        return folder[name];
    }
}
