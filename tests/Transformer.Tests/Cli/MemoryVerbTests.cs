using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tokenization;

namespace Transformer.Tests.Cli;

public sealed class MemoryVerbTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string memory;

    public MemoryVerbTests() => memory = folder["memory.db"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task What_was_added_is_listed_found_and_forgotten()
    {
        var lines = folder.Write("talk.txt", "user: My dog is called Rex.\nassistant: A good name.\n  For a dog.\n");
        var text = folder.Write("long.txt", "one line\nanother: line\n");
        await Prints("talk: added turns 1 to 2\n", "add", memory, "--conversation", "talk", "--file", lines);
        await Prints("talk: added turn 3\n", "add", memory, "--conversation", "talk", "--role", "user", "--text", "Bye.");
        await Prints("more: added turn 1\n", "add", memory, "--conversation", "more", "--role", "user", "--file", text);

        Assert.Matches(@"^talk  3 turns, \S+ \d\d:\d\dZ to \S+ \d\d:\d\dZ\nmore  1 turn, ", (await Run("list", memory)).Output);
        await Prints(
            "    1  user: My dog is called Rex.\n    2  assistant: A good name.\n         For a dog.\n    3  user: Bye.\n",
            "list", memory, "--conversation", "talk");
        Assert.Matches(
            @"^ *\d\.\d\d  talk 2  assistant: A good name. For a dog.\n *\d\.\d\d  talk 1  user: My dog is called Rex.\n$",
            (await Run("search", memory, "good dogs?")).Output);
        Assert.Equal(1, (await Run("search", memory, "good dogs?", "--count", "1")).Output.Count(character => character == '\n'));

        await Prints("talk: forgot turn 1\n", "forget", memory, "--conversation", "talk", "--turn", "1");
        await Prints("talk: forgot 2 turns\n", "forget", memory, "--conversation", "talk");
        Assert.StartsWith("more  1 turn", (await Run("list", memory)).Output);
        var nothing = await Run("search", memory, "dog");
        Assert.Equal((CommandLine.Done, "", "No turn has one of these words.\n"), (nothing.Code, nothing.Output, nothing.Error));
    }

    [Fact]
    public async Task Json_has_what_is_shown_and_the_whole_texts()
    {
        await Run("add", memory, "--conversation", "talk", "--role", "user", "--text", "My dog\nis called Rex.");
        var found = Assert.Single((await Run("search", memory, "DOG", "--json")).Json["turns"]!.AsArray())!;
        Assert.Equal(("talk", 1, "user", "My dog\nis called Rex."), (
            (string)found["conversation"]!, (int)found["number"]!, (string)found["role"]!, (string)found["text"]!));
        var conversation = Assert.Single((await Run("list", memory, "--json")).Json["conversations"]!.AsArray())!;
        Assert.Equal(("talk", 1), ((string)conversation["name"]!, (int)conversation["turns"]!));
        var turn = Assert.Single((await Run("list", memory, "--conversation", "talk", "--json")).Json["turns"]!.AsArray())!;
        Assert.Equal((string)found["text"]!, (string)turn["text"]!);
    }

    [Theory]
    [InlineData("memory add HERE/new.db --conversation talk", "found nothing to add, expected --role and --text")]
    [InlineData("memory add HERE/new.db --conversation talk --text a", "found nothing to add")]
    [InlineData("memory add HERE/new.db --conversation talk --role a:b --text x", "role: found a:b, expected no colon")]
    [InlineData("memory add HERE/new.db --conversation talk --role a --text x --file y", "leave one out")]
    [InlineData("memory add HERE/new.db --conversation talk --file HERE/none.txt", "none.txt: cannot be read")]
    [InlineData("memory add HERE/new.db --conversation talk --file HERE/bad.txt", "bad.txt:1: found no role")]
    [InlineData("memory add HERE/new.db --conversation talk --file HERE/role.txt", "role.txt:2: role: found user , expected a name")]
    [InlineData("memory add HERE/new.db --conversation talk --file HERE/empty.txt", "empty.txt:2: a turn of user has no text.")]
    [InlineData("memory add HERE/new.db --role a --text x", "--conversation")]
    [InlineData("memory search HERE/new.db x", "new.db: no such file, expected a memory that `")]
    [InlineData("memory search HERE/memory.db x --conversation talks", "--conversation: there is none called talks; did you mean talk?")]
    [InlineData("memory search HERE/memory.db x --count 0", "--count: found 0, expected a whole number from 1 to")]
    [InlineData("memory list HERE/memory.db --conversation other", "--conversation: there is none called other")]
    [InlineData("memory forget HERE/memory.db --conversation talk --turn 2", "--turn: talk has no turn 2; ")]
    [InlineData("memory forget HERE/memory.db --conversation other", "--conversation: there is none called other")]
    [InlineData("memory find HERE/memory.db", "find: unknown verb")]
    public async Task A_wrong_request_is_refused_and_makes_no_file(string line, string message)
    {
        folder.Write("bad.txt", "no role\n");
        folder.Write("role.txt", "user: Hello.\nuser : Bye.\n");
        folder.Write("empty.txt", "assistant: Hello.\nuser:\n");
        await Run("add", memory, "--conversation", "talk", "--role", "user", "--text", "Hello.");
        await CliRun.Refuses(line.Replace("HERE", folder.Path), message);
        Assert.False(File.Exists(folder["new.db"]));
    }

    [Fact]
    public async Task Generate_puts_turns_before_the_prompt_and_names_them()
    {
        await Run("add", memory, "--conversation", "pets", "--role", "user", "--text", "The dog is Rex.");
        await Run("add", memory, "--conversation", "today", "--role", "user", "--text", "Hello.");
        var model = SaveModel();

        var run = await Generate(model, "--memory", memory, "--prompt", "Which dog?");
        var prompt = "user: The dog is Rex.\nuser: Hello.\nWhich dog?";
        Assert.Equal((CommandLine.Done, prompt), (run.Code, (string)run.Json["prompt"]!));
        Assert.Equal($"memory: {prompt.Length} of 64 tokens; found: pets 1; latest: today 1.\n", run.Error);
        Assert.Equal(
            (string)(await Generate(model, "--prompt", prompt)).Json["samples"]![0]!["text"]!, (string)run.Json["samples"]![0]!["text"]!);

        run = await Generate(model, "--memory", memory, "--prompt", "Which dog?", "--memory-budget", "24");
        Assert.Equal("user: Hello.\nWhich dog?", (string)run.Json["prompt"]!);
        Assert.Equal(
            "memory: 23 of 24 tokens; found: none; latest: today 1.\nmemory: no room for pets 1; raise --memory-budget for more.\n",
            run.Error);
    }

    [Fact]
    public async Task Generate_goes_on_with_the_conversation_that_is_named()
    {
        await Run("add", memory, "--conversation", "pets", "--role", "user", "--text", "Hello.");
        await Run("add", memory, "--conversation", "today", "--role", "user", "--text", "It rains.");
        var model = SaveModel();
        var run = await Generate(model, "--memory", memory, "--memory-conversation", "pets", "--prompt", "Who?");
        Assert.Equal("user: Hello.\nWho?", (string)run.Json["prompt"]!);
        run = await Generate(model, "--memory", memory, "--memory-conversation", "new", "--prompt", "Who?");
        Assert.Equal(
            ("Who?", "memory: there is no conversation new yet.\nmemory: 4 of 64 tokens; found: none; latest: none.\n"),
            ((string)run.Json["prompt"]!, run.Error));
    }

    [Theory]
    [InlineData]
    [InlineData("--beams", "2")]
    public async Task Json_says_which_turns_stand_before_the_prompt(params string[] options)
    {
        await Run("add", memory, "--conversation", "pets", "--role", "user", "--text", "The dog is Rex, é.");
        await Run("add", memory, "--conversation", "today", "--role", "user", "--text", "Hello.");
        string[] arguments =
        [
            "generate", SaveModel(), "--json", "--max-tokens", "4", "--memory", memory, "--memory-budget", "24", "--prompt", "Which dog?",
            .. options,
        ];
        Assert.Equal(
            "{\"tokens\":23,\"budget\":24,\"found\":[],\"latest\":[{\"conversation\":\"today\",\"number\":1}]," +
            "\"no_room\":[{\"conversation\":\"pets\",\"number\":1}],\"unreadable\":[]}",
            (await CliRun.Of(arguments)).Json["memory"]!.ToJsonString());
    }

    [Theory]
    [InlineData("--memory HERE/none.db --prompt a", "none.db: no such file")]
    [InlineData("--memory HERE/memory.db --prompt abcdef --memory-budget 5", "the question alone has 6 tokens, and the budget is 5.")]
    [InlineData("--memory HERE/memory.db --memory-budget 129", "--memory-budget: found 129, expected at most the model's context of 128")]
    [InlineData("--memory-budget 12", "--memory-budget: means nothing without --memory.")]
    [InlineData("--memory-conversation talk", "--memory-conversation: means nothing without --memory.")]
    [InlineData("--memory HERE/memory.db --prompts HERE/memory.db", "--memory: means nothing beside --prompts")]
    public async Task Generate_refuses_a_memory_that_it_cannot_use(string options, string message)
    {
        await Run("add", memory, "--conversation", "talk", "--role", "user", "--text", "Hello.");
        await CliRun.Refuses($"generate {SaveModel()} {options}".Replace("HERE", folder.Path), message);
    }

    private static Task<CliRun> Run(params string[] arguments) => CliRun.Of(["memory", .. arguments]);

    private static Task<CliRun> Generate(string model, params string[] arguments) =>
        CliRun.Of(["generate", model, "--greedy", "--max-tokens", "4", "--json", .. arguments]);

    private static async Task Prints(string output, params string[] arguments)
    {
        var run = await Run(arguments);
        Assert.Equal((CommandLine.Done, output, ""), (run.Code, run.Output, run.Error));
    }

    private string SaveModel()
    {
        using var model = new TransformerModel(Tiny.Config with { VocabularySize = 256, ContextLength = 128 });
        CheckpointFolder.Save(folder["model"], model.Config, model.Weights.ToStored(), new ByteTokenizer());
        return folder["model"];
    }
}
