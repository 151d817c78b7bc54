using System.Text.Json.Nodes;
using Transformer.Checkpoints;
using Transformer.Formats;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>Runs that begin with the weights of another one.</summary>
public sealed class InitFromTests : IDisposable
{
    // A step that changes no number of the model.
    private static readonly string[] Still =
        ["--set", "training.steps=1", "--set", "training.optimizer={kind: adamw, learning_rate: 1e-30}"];

    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("first")]
    [InlineData("first/checkpoints/step-10")]
    [InlineData("first/checkpoints/step-10/model.safetensors")]
    public async Task A_run_begins_with_the_weights_of_a_run_or_a_checkpoint(string source)
    {
        await here.Train("first", "--set", "training.steps=10");

        var (code, _, error) = await here.Train("second", ["--init-from", here[source], .. Still]);

        Assert.True(code == 0, error);
        Assert.Equal(Weights("first/checkpoints/step-10"), Weights("second/checkpoints/step-1"));
        Assert.Equal(1, here.Steps("second"));
        Assert.Equal(1, (int)JsonNode.Parse(File.ReadAllText(here["second/checkpoints/step-1/training.json"]))!["step"]!);
    }

    [Theory]
    [InlineData("data_parallel")]
    [InlineData("zero3")]
    [InlineData("tensor_parallel")]
    public async Task Several_ranks_begin_with_them_too(string strategy)
    {
        await here.Train("first", "--set", "training.steps=10");

        using var ranks = Command.StartRanks(here.Folder, 2, [
            "train", "tiny.yaml", "--out", "second", "--init-from", "first", "--set", "model.dropout=0",
            "--set", $"training.distributed.strategy={strategy}", .. Still]);
        var (code, _, error) = ranks.Wait();

        Assert.True(code == 0, error);
        using var first = CheckpointFolder.Open(here["first"]);
        using var second = CheckpointFolder.Open(here["second"]);
        Assert.Equal(first.Names.Order(), second.Names.Order());
        Assert.All(first.Names, name => Assert.True(first.Read(name).eq(second.Read(name)).all().item<bool>(), name));
    }

    [Fact]
    public async Task The_range_test_begins_with_them_too()
    {
        await here.Train("first");

        Assert.True(await FirstLoss("--init-from", here["first"]) < await FirstLoss() - 0.5);

        async Task<double> FirstLoss(params string[] from) =>
            (double)JsonNode.Parse((await here.Train("none", ["--learning-rate-range", "--json", .. from])).Output)![0]!["loss"]!;
    }

    [Fact]
    public async Task Its_configuration_repeats_it()
    {
        await here.Train("first", "--set", "training.steps=10");
        await here.Train("second", "--init-from", here["first"]);
        Assert.Contains($"init_from: {here["first/checkpoints/step-10"]}", File.ReadAllText(here["second/config.yaml"]));

        Assert.Equal(0, (await Workplace.Request("train", here["second/config.yaml"], "--out", here["again"])).Code);

        Assert.Equal(Weights("second/checkpoints/step-40"), Weights("again/checkpoints/step-40"));
    }

    [Fact]
    public async Task Without_a_recipe_model_and_tokenizer_are_those_of_the_weights()
    {
        await here.Train("first", "--set", "training.steps=10");
        here.Write("other.txt", string.Concat(Enumerable.Repeat("file 1 of it\n", 100)));    // fewer characters

        string[] other = ["--set", $"data.path={here["other.txt"]}", "--set", "training.sample_tokens=0", .. Still];
        var (code, _, error) = await Workplace.Request(["train", "--init-from", here["first"], "--out", here["second"], .. other]);

        Assert.True(code == 0, error);
        Assert.Equal(Weights("first/checkpoints/step-10"), Weights("second/checkpoints/step-1"));
        Assert.Contains("tokenizer: {kind: file, path: tokenizer.json}", File.ReadAllText(here["second/config.yaml"]));

        Directory.Delete(here["first"], recursive: true);    // the run has a tokenizer of its own
        Directory.Move(here["second"], here["moved"]);
        Assert.Equal(0, (await Workplace.Request("train", "--resume", here["moved"], "--set", "training.steps=2")).Code);
        Assert.Equal(0, (await Workplace.Request("evaluate", here["moved"])).Code);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_run_keeps_the_tokens_at_which_an_imported_models_texts_end(bool prepared)
    {
        Assert.Equal(0, (await Workplace.Request("import", Golden.PathOf("faults/added-tokens"), "--out", here["model"])).Code);
        var data = here["corpus.txt"];
        if (prepared)
        {
            var tokenizer = $"data.tokenizer={{kind: file, path: {here["model/tokenizer.json"]}}}";
            var made = await Workplace.Request("data", "prepare", data, "--out", here["tokens"], "--set", tokenizer);
            Assert.True(made.Code == 0, made.Error);
            data = here["tokens"];
        }

        string[] other = ["--set", $"data.path={data}", "--set", "training.sample_tokens=0", .. Still];
        var (code, _, error) = await Workplace.Request(["train", "--init-from", here["model"], "--out", here["run"], .. other]);

        Assert.True(code == 0, error);
        Assert.Equal([258], TokenizerFolder.Read(here["run/checkpoints/step-1"]).EndTokens);
        if (!prepared) Assert.Equal([258], TokenizerFolder.Read(here["run"]).EndTokens);
        Assert.Equal(0, (await Workplace.Request("train", "--resume", here["run"], "--set", "training.steps=2")).Code);
    }

    [Fact]
    public void A_run_that_could_not_start_deletes_only_the_tokenizer_that_it_wrote()
    {
        Directory.CreateDirectory(here["own"]);
        foreach (var name in (string[])["tokenizer.json", "tokenizer_config.json"])
            File.Copy(Golden.PathOf($"faults/added-tokens/{name}"), here[$"own/{name}"]);
        Begin("own", here["own"]).Rollback();
        Assert.Equal(["tokenizer.json", "tokenizer_config.json"], Directory.GetFiles(here["own"]).Select(Path.GetFileName).Order());

        using (var run = Begin("copied", Golden.PathOf("faults/added-tokens")))
        {
            Assert.Equal([258], TokenizerFolder.Read(here["copied"]).EndTokens);
            run.Rollback();
        }
        Assert.False(Directory.Exists(here["copied"]));

        RunFolder Begin(string folder, string source) => RunFolder.Create(here[folder], ConfigFile.Load(
            here["tiny.yaml"], [$"data.tokenizer={{kind: file, path: {source}/tokenizer.json}}"]));
    }

    [Theory]
    [InlineData("checkpoints/latest")]
    [InlineData("checkpoints/best")]
    [InlineData("environment.json")]
    public async Task A_file_of_a_run_that_is_not_UTF_8_ends_with_2(string file)
    {
        await here.Train("first", "--set", "training.steps=1");
        File.WriteAllBytes(here[$"first/{file}"], [.. "step-"u8, 0xE9]);
        var (code, _, error) = await Workplace.Request("train", "--resume", here["first"], "--set", "training.steps=2");
        Assert.Equal(2, code);
        Assert.Contains($"{file}: cannot be read (found bytes that are not UTF-8)", error);
    }

    [Fact]
    public async Task Weights_that_do_not_fit_are_named_and_nothing_is_written()
    {
        await here.Train("first", "--set", "training.steps=1");

        await Refused(
            ["model.width=32"], "training.init_from: ", "tensors do not fit this model",
            "model.norm.weight: file [16], model [32]",
            $"Take the weights' own model, without a recipe: transformer train --init-from {here["first"]}");
        await Refused(
            ["data.tokenizer={kind: byte}"], "has another tokenizer (19 tokens) than", "(256 tokens), so its embeddings do not fit",
            "Take its tokenizer: --set 'data.tokenizer={kind: file, path: ");
        await Refused(
            ["data.path=builtin:names"], "has another tokenizer (19 tokens) than", "It cannot encode this text either: take another text");

        async Task Refused(string[] sets, params string[] messages)
        {
            var (code, output, error) = await here.Train(
                "second", ["--init-from", here["first"], .. sets.SelectMany(set => new[] { "--set", set })]);
            Assert.Equal((2, ""), (code, output));
            Assert.All(messages, message => Assert.Contains(message, error));
            Assert.False(Directory.Exists(here["second"]));
        }
    }

    [Fact]
    public async Task What_is_no_checkpoint_is_refused_with_what_makes_one()
    {
        here.Write("model.gguf", "GGUF");
        var (code, _, error) = await Workplace.Request("train", "--init-from", here["model.gguf"]);
        Assert.Equal(2, code);
        Assert.Contains($"transformer import {here["model.gguf"]} --out imported", error);

        (code, _, error) = await Workplace.Request("train", "--init-from", here["none"]);
        Assert.Equal(2, code);
        Assert.Contains("none: no such file or folder, expected a checkpoint", error);
        Assert.DoesNotContain("import", error);
    }

    private byte[] Weights(string checkpoint) => File.ReadAllBytes(here[$"{checkpoint}/model.safetensors"]);
}
