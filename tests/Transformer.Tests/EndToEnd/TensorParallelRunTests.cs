using System.Text.Json.Nodes;
using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.EndToEnd;

/// <summary>Real processes of mpirun with tensor parallelism.</summary>
public sealed class TensorParallelRunTests : IDisposable
{
    private const string Strategy = "training.distributed.strategy=tensor_parallel";

    // A large epsilon makes the step follow the size of the gradient, so that nearly equal gradients give nearly equal steps; all steps are
    // clipped.
    private static readonly string[] Options =
    [
        "--set", "training.optimizer={kind: adamw, learning_rate: 0.3, epsilon: 1, weight_decay: 0.1}",
        "--set", "training.gradient_clip=0.5",
        "--set", "model.attention={kind: softmax, heads: 4, bias: true, query_key_norm: true}", "--set", "training.steps=10",
        "--set", "training.checkpoint_every=5",
        "--set", "training.evaluate_every=5", "--set", "training.evaluate_batches=1", "--set", "training.keep_checkpoints=9",
        "--set", "training.sample_tokens=4",
    ];

    private readonly Workplace here = new();

    public TensorParallelRunTests() =>
        here.Write("corpus.txt", string.Concat(Enumerable.Range(0, 60).Select(i => $"line {i * 7919 % 1000} of it\n")));

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task Four_ranks_train_what_one_does_dropout_included_and_two_or_one_go_on_from_what_they_saved()
    {
        string[] options = [.. Options, "--set", Strategy, "--set", "training.ema_decay=0.9"];
        await here.Train("one", options);
        var one = Result("one");
        Assert.All(one.Metrics, line => Assert.True(line["gradient_norm"]!.GetValue<double>() > 0.5, "nothing was clipped"));
        Succeeds(Command.StartRanks(here.Folder, 4, ["train", "tiny.yaml", "--out", "run", .. options]));
        AssertAsOne(one, "run", "four ranks");

        here.Write("run/checkpoints/latest", "step-5\n");
        Succeeds(Command.StartRanks(here.Folder, 2, "train", "--resume", "run"));
        AssertAsOne(one, "run", "two ranks from step 5 of four on");

        here.Write("run/checkpoints/latest", "step-5\n");
        Succeeds(Command.Start(here.Folder, "train", "--resume", "run"));
        AssertAsOne(one, "run", "one rank from step 5 of four on");

        here.Write("one/checkpoints/latest", "step-5\n");
        Succeeds(Command.StartRanks(here.Folder, 2, "train", "--resume", "one"));
        AssertAsOne(one, "one", "two ranks from step 5 of one on");
        Assert.Empty(here.HalfWritten());
    }

    [Fact]
    public async Task Ranks_that_share_the_model_go_on_from_those_that_share_the_batch_and_these_from_them()
    {
        string[] options = [
            .. Options, "--set", "model.dropout=0", "--set", "model.attention={kind: softmax, heads: 4, kv_heads: 2}",
            "--set", "training.steps=15"];
        await here.Train("one", options);
        var one = Result("one");
        Succeeds(Command.StartRanks(
            here.Folder, 2, ["train", "tiny.yaml", "--out", "run", "--set", "training.distributed.strategy=zero3", .. options]));

        Continue("zero3", "tensor_parallel", "step-5");
        AssertAsOne(one, "run", "tensor_parallel from step 5 of zero3 on");
        await Requested("export", here["run"], "--format", "safetensors", "--out", here["exported"]);
        Assert.Equal(await Requested(Greedy("run")), await Requested(Greedy("exported")));

        Continue("tensor_parallel", "zero3", "step-10");
        AssertAsOne(one, "run", "zero3 from step 10 of tensor_parallel on");
    }

    [Fact]
    public async Task Ranks_that_share_a_model_generate_what_one_process_does_once()
    {
        await here.Train("run", [.. Options, "--set", "training.steps=20"]);
        string[] greedy = ["generate", "run", "--prompt", "line ", "--max-tokens", "12", "--greedy"],
            drawn = [.. greedy[..^1], "--count", "2", "--seed", "7"];
        foreach (var (ranks, arguments) in new[] { (2, greedy), (4, drawn) })
        {
            var expected = await Requested([arguments[0], here["run"], .. arguments[2..]]);
            Assert.Equal(expected, Succeeds(Command.StartRanks(here.Folder, ranks, [.. arguments, "--tensor-parallel"])));
        }
    }

    [Fact]
    public async Task A_draft_that_rank_0_cannot_load_ends_all_ranks_with_one_message()
    {
        await here.Train("run", [.. Options, "--set", "training.steps=1"]);
        using var command = Command.StartRanks(
            here.Folder, 2, "generate", "run", "--prompt", "line ", "--tensor-parallel", "--draft", "none");
        var (code, output, error) = command.Wait();
        Assert.True(code != 0 && output.Length == 0, output);
        Assert.Single(error.Split('\n'), line => line.Contains("none: no such file or folder"));
    }

    [Fact]
    public async Task Ranks_that_would_each_generate_the_same_are_refused_once_and_so_is_one_process_that_is_to_share()
    {
        await here.Train("run", [.. Options, "--set", "training.steps=1"]);
        using (var command = Command.StartRanks(here.Folder, 2, "generate", "run", "--prompt", "line"))
        {
            var (code, output, error) = command.Wait();
            Assert.True(code != 0 && output.Length == 0, output);
            Assert.Single(
                error.Split('\n'), line => line.Contains("generate: 2 ranks would each generate the same. Give --tensor-parallel"));
        }
        var (refused, _, message) = await Workplace.Request("generate", here["run"], "--tensor-parallel");
        Assert.Equal(CommandLine.Refused, refused);
        Assert.Contains("--tensor-parallel: found one process", message);
    }

    [Fact]
    public async Task A_configuration_shows_what_each_of_the_ranks_keeps_or_why_they_cannot_share_the_model()
    {
        string[] show = [
            "config", "show", here["tiny.yaml"], "--set", "model.vocabulary_size=65", "--set", "model.attention.heads=4",
            "--json", "--ranks"];
        var (_, output, _) = await Workplace.Request([.. show, "2"]);
        var bytes = JsonNode.Parse(output)!["ranks"]!.AsArray()
            .Single(line => (string)line!["strategy"]! == "tensor_parallel")!["bytes"]!.GetValue<long>();
        var config = ConfigFile.Load(here["tiny.yaml"], ["model.attention.heads=4", "model.vocabulary_size=65"]);
        var size = new ModelSize(config.Model);
        Assert.Equal(RankMemory.Bytes(size, config.Training, DistributedStrategy.TensorParallel, 2), bytes);
        Assert.InRange(bytes, 16 * size.Parameters / 2, 16 * size.Parameters);

        (_, output, var error) = await Workplace.Request([.. show, "3"]);
        Assert.DoesNotContain("tensor_parallel", JsonNode.Parse(output)!["ranks"]!.ToJsonString());
        Assert.Contains("tensor_parallel is not among them: model.attention.heads: 3 ranks cannot share 4 heads equally", error);
    }

    private string[] Greedy(string model) => ["generate", here[model], "--prompt", "line ", "--max-tokens", "12", "--greedy"];

    // The strategy is part of the run's configuration.
    private void Continue(string was, string becomes, string step)
    {
        here.Write(
            "run/config.yaml",
            File.ReadAllText(here["run/config.yaml"]).Replace($"strategy: {was}", $"strategy: {becomes}", StringComparison.Ordinal));
        here.Write("run/checkpoints/latest", $"{step}\n");
        Succeeds(Command.StartRanks(here.Folder, 2, "train", "--resume", "run"));
    }

    private static string Succeeds(Command command)
    {
        using (command)
        {
            var (code, output, error) = command.Wait();
            Assert.True(code == 0, $"{output}\n{error}");
            return output;
        }
    }

    private static async Task<string> Requested(params string[] arguments)
    {
        var (code, output, error) = await Workplace.Request(arguments);
        Assert.True(code == 0, error);
        return output;
    }

    // The metrics of a run, and the weights that it ends with.
    private (JsonObject[] Metrics, Dictionary<string, Tensor> Weights) Result(string run)
    {
        using var checkpoint = CheckpointFolder.Open(here[run]);
        return (here.Metrics(run), checkpoint.Names.ToDictionary(name => name, checkpoint.Read));
    }

    private void AssertAsOne((JsonObject[] Metrics, Dictionary<string, Tensor> Weights) one, string run, string what)
    {
        var found = Result(run);
        Assert.Equal(one.Metrics.Length, found.Metrics.Length);
        foreach (var name in new[] { "train_loss", "validation_loss", "gradient_norm" })
            foreach (var (line, other) in one.Metrics.Zip(found.Metrics))
                if (line[name] is { } number)
                    Near.Equal(number.GetValue<double>(), other[name]!.GetValue<double>(), 1e-5, $"{what}: {name} of step {line["step"]}");
        foreach (var (name, value) in one.Weights) Near.Equal(value, found.Weights[name], 1e-5, $"{what}: {name}");
    }
}
