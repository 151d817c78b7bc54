using Transformer.Cli;

namespace Transformer.Tests.EndToEnd;

public sealed class BadInputTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("model.widht=16", "model.widht: unknown key; did you mean model.width?")]
    [InlineData("model.attention.heads=7", "model.attention.heads: ")]
    [InlineData("data.path=HERE/none.txt", "none.txt: no such file")]
    [InlineData("data.path=HERE/folder", "folder: found a folder, expected a text file")]
    [InlineData("data.path=HERE/empty.txt", "empty.txt: the file is empty")]
    [InlineData("data.path=HERE/short.txt", "data: the training part has 9 tokens, but model.context_length 16 needs at least 17")]
    [InlineData("data.path=HERE/latin1.txt", "latin1.txt: not UTF-8: the byte 0xE9 at offset 3 fits no character")]
    [InlineData(
        "training.parameters=[{pattern: model.heads.*, frozen: true}]",
        "training.parameters: no parameter is called model.heads.*")]
    public async Task Training_on_what_is_wrong_ends_with_2_and_leaves_nothing(string set, string message)
    {
        Directory.CreateDirectory(here["folder"]);
        here.Write("empty.txt", "");
        here.Write("short.txt", "too short.");
        File.WriteAllBytes(here["latin1.txt"], [.. "caf"u8, 0xE9]);

        var (code, output, error) = await here.Train("run", "--set", Placed(set));

        AssertRefused((code, output, error), message);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Theory]
    [InlineData("train HERE/none.yaml", "none.yaml: no such file or recipe")]
    [InlineData("train HERE/latin1.txt", "latin1.txt: found bytes that are not UTF-8")]
    [InlineData("train --resume HERE/none", "none: no run there (config.yaml is missing)")]
    [InlineData("train --resume HERE/folder", "folder: no run there (config.yaml is missing)")]
    [InlineData("train --resume HERE/tiny.yaml", "(config.yaml is missing). It is a configuration; a new run of it is ")]
    [InlineData("train --resume HERE/none --overfit-one-batch", "--resume: the run's folder says what to train")]
    [InlineData("train --threads 0", "--threads: found 0, expected a whole number from 1 to 1024; ")]
    [InlineData("train --overfit-one-bach", "--overfit-one-bach: unknown option; did you mean --overfit-one-batch?")]
    [InlineData("generate HERE/none --prompt a", "none: no such file or folder, expected a checkpoint")]
    [InlineData("generate HERE/folder --prompt a", "folder: holds no model, expected a checkpoint")]
    [InlineData("import HERE/none --out HERE/new", "none: ")]
    public async Task A_request_for_what_is_not_there_ends_with_2(string line, string message)
    {
        Directory.CreateDirectory(here["folder"]);
        File.WriteAllBytes(here["latin1.txt"], [.. "caf"u8, 0xE9]);
        AssertRefused(await Workplace.Request(Placed(line).Split(' ')), message);
    }

    [Fact]
    public async Task A_configuration_that_is_no_run_s_is_neither_replaced_nor_read_as_one()
    {
        Directory.CreateDirectory(here["own"]);
        here.Write("own/config.yaml", "mine: true\n");
        AssertRefused(await here.Train("own"), "a run exists there already");
        Assert.Equal("mine: true\n", File.ReadAllText(here["own/config.yaml"]));

        await here.Train("run", "--set", "training.steps=1");
        foreach (var file in (string[])["model.safetensors", "config.json", "tokenizer.json"])
            File.Copy(here[$"run/checkpoints/step-1/{file}"], here[$"own/{file}"]);
        var (code, _, error) = await Workplace.Request("evaluate", here["own"], "--data", here["corpus.txt"]);
        Assert.True(code == CommandLine.Done, error);
    }

    [Fact]
    public void A_recipe_s_name_is_that_also_beside_a_folder_of_the_name()
    {
        Directory.CreateDirectory(here["names"]);
        here.Write("names/config.yaml", "");
        Assert.Equal(CommandLine.Done, Command.Run(here.Folder, "config", "show", "names").Code);
    }

    [Fact]
    public async Task A_prompt_that_the_model_cannot_read_ends_with_2()
    {
        await here.Train("run", "--set", "training.steps=1");
        File.WriteAllBytes(here["latin1.txt"], [.. "caf"u8, 0xE9]);

        AssertRefused(await Workplace.Request("generate", here["run"], "--prompt", "line ü"), "ü");
        AssertRefused(
            await Workplace.Request("generate", here["run"], "--prompt-file", here["latin1.txt"]),
            "latin1.txt: found bytes that are not UTF-8");
        AssertRefused(await Workplace.Request("generate", here["run"], "--prompt-file", here.Folder), "cannot be read");
        AssertRefused(
            await Workplace.Request("generate", here["run"], "--prompt", "line 123 of line 4"),
            "18 tokens do not fit the context length of 16");
        AssertRefused(await Workplace.Request("generate", here["run"], "--prompt", "line", "--top-p", "2"), "--top-p: found 2");
    }

    [Fact]
    public async Task A_checkpoint_that_is_damaged_ends_with_2()
    {
        await here.Train("run", "--set", "training.steps=1");
        var (weights, config, state) = (
            "run/checkpoints/step-1/model.safetensors", "run/checkpoints/step-1/config.json",
            "run/checkpoints/step-1/training.safetensors");
        var (whole, shape) = (File.ReadAllBytes(here[weights]), File.ReadAllText(here[config]));

        File.WriteAllBytes(here[weights], whole[..^100]);
        AssertRefused(await Generate(), "It is cut off");
        AssertRefused(await Resume(), "It is cut off");

        File.WriteAllBytes(here[weights], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, .. whole[8..]]);
        AssertRefused(await Generate(), "the header's length is given as 9223372036854775807");

        File.WriteAllBytes(here[weights], whole);
        here.Write(config, shape.Replace("\"width\": 16", "\"width\": 32", StringComparison.Ordinal));
        var (code, _, error) = await Generate();
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("tensors do not fit this model", error);
        foreach (var name in new[] { "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.norm.weight" })
            Assert.Contains(name, error);

        here.Write(config, shape);
        File.WriteAllBytes(here[state], File.ReadAllBytes(here[state])[..^1]);
        AssertRefused(await Resume(), "training.safetensors");

        Task<(int, string, string)> Generate() => Workplace.Request("generate", here["run"], "--prompt", "line");
        Task<(int, string, string)> Resume() => Workplace.Request("train", "--resume", here["run"]);
    }

    [Fact]
    public async Task A_run_does_not_go_on_with_another_text_or_another_shape()
    {
        await here.Train("run", "--set", "training.steps=1");
        var config = File.ReadAllText(here["run/config.yaml"]);

        here.Write("run/config.yaml", config.Replace("width: 16", "width: 32", StringComparison.Ordinal));
        var (code, _, error) = await Workplace.Request("train", "--resume", here["run"]);
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("tensors do not fit this model", error);

        here.Write("run/config.yaml", config);
        File.AppendAllText(here["corpus.txt"], "line\n");
        AssertRefused(await Workplace.Request("train", "--resume", here["run"]), "is not what the run began with");
    }

    [Theory]
    [InlineData("HERE/corpus.txt")]
    [InlineData("HERE/corpus.txt/run")]
    [InlineData("/proc/run")]
    public async Task A_folder_that_cannot_be_made_ends_with_2(string folder) => AssertRefused(
        await Workplace.Request("train", here["tiny.yaml"], "--set", $"data.path={here["corpus.txt"]}", "--out", Placed(folder)),
            "cannot be written");

    [Fact]
    public async Task A_finished_run_is_not_begun_again_in_its_folder()
    {
        await here.Train("run", "--set", "training.steps=1");
        var before = Files();

        AssertRefused(
            await here.Train("run"), "a run exists there already. Choose another folder with --out, or resume it: " +
                $"transformer train --resume {here["run"]}");

        Assert.Equal(before, Files());
        (string, DateTime)[] Files() => [.. Directory.GetFiles(here["run"], "*", SearchOption.AllDirectories).Order()
            .Select(file => (file, File.GetLastWriteTimeUtc(file)))];
    }

    [Fact]
    public async Task Two_processes_do_not_train_in_one_folder()
    {
        using var first = Command.Start(here.Folder, "train", "tiny.yaml", "--out", "run", "--set", "training.steps=1000000");
        first.Until(() => here.Steps("run") > 0);

        AssertRefused(await here.Train("run"), "another process is training there");
        AssertRefused(await Workplace.Request("train", "--resume", here["run"]), "another process is training there");

        var steps = here.Steps("run");
        first.Until(() => here.Steps("run") > steps);
    }

    [Fact]
    public void A_full_disk_ends_with_2_and_no_half_written_file()
    {
        // A file system of 100 KiB that only this process sees: enough to begin a run, not for its third checkpoint.
        string[] shell = [
            "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
            "mount -t tmpfs -o size=100k none disk && \"$@\"; code=$?; find disk; exit $code", "sh"];
        Directory.CreateDirectory(here["disk"]);
        using var run = Command.StartInShell(
            here.Folder, shell, "train", "tiny.yaml", "--out", "disk/run", "--set", "training.keep_checkpoints=100",
            "--set", "training.checkpoint_every=1");
        var (code, output, error) = run.Wait();
        if (error.Contains("unshare:") || error.Contains("mount:")) Assert.Skip($"No file system of one's own can be made here: {error}");

        Assert.True(code == CommandLine.Refused, error);
        Assert.Contains("cannot be written (No space left on device", error);
        Assert.Contains("disk/run/checkpoints/step-1/model.safetensors", output);
        Assert.DoesNotContain(".partial", output);
        Assert.DoesNotContain("Nothing was changed", error);
        Assert.Matches(
            @"The run ended after step \d+\. Its last checkpoint, disk/run/checkpoints/step-\d+, is complete\. " +
            @"Fix the cause, then resume: dotnet \S+Transformer\.Cli\.dll train --resume disk/run", error);
    }

    [Fact]
    public async Task A_loss_that_is_no_number_ends_with_1_and_says_where()
    {
        var (code, output, error) = await here.Train(
            "run", "--set", "training.optimizer.learning_rate=1e15", "--set", "training.gradient_clip=null",
            "--set", "training.checkpoint_every=1");

        Assert.Equal((CommandLine.Failed, ""), (code, output));
        var message = error.TrimEnd().Split('\n')[^1];
        Assert.Matches(@"^step \d+: the loss is .*, at batch \d+ of the sampler\. " +
            @"(The last good checkpoint is .*/step-\d+|There is no good checkpoint yet)\. Try a lower learning rate", message);
    }

    private string Placed(string text) => text.Replace("HERE", here.Folder, StringComparison.Ordinal);

    private static void AssertRefused((int Code, string Output, string Error) ended, string message)
    {
        Assert.True(ended.Code == CommandLine.Refused, $"{ended.Code}: {ended.Error}");
        Assert.Empty(ended.Output);
        Assert.Contains(message, ended.Error);
        Assert.InRange(ended.Error.TrimEnd().Split('\n').Length, 1, 2);
    }
}
