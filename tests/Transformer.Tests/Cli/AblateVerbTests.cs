using System.Text.Json.Nodes;
using Transformer.Tests.EndToEnd;

namespace Transformer.Tests.Cli;

/// <summary><c>ablate</c> with real runs in processes of their own.</summary>
public sealed class AblateVerbTests : IDisposable
{
    private const string Tiny = """
        model: {width: 16, context_length: 16, layers: 1, attention: {kind: softmax, heads: 2}, mlp: {kind: gelu}}
        data: {path: "builtin:names", tokenizer: {kind: character}, validation_fraction: 0.01}
        training:
          steps: 30
          batch_size: 4
          optimizer: {kind: adamw, learning_rate: 3.0e-3}
          evaluate_every: 30
          sample_tokens: 0
        """;

    private readonly TemporaryFolder folder = new();

    public AblateVerbTests() => folder.Write("tiny.yaml", Tiny);

    [Fact]
    public void Designs_are_trained_compared_and_written_down()
    {
        var (code, output, error) = Ablate("--vary", "model.position.kind=rope,alibi", "--seeds", "2", "--out", "a", "--json");
        Assert.True(code == 0, error);
        var result = JsonNode.Parse(output)!;
        Assert.Equal(["rope", "alibi"], result["designs"]!.AsArray().Select(design => design!["name"]!.GetValue<string>()));
        Assert.Equal(2, result["comparisons"]![0]!["pairs"]!.GetValue<int>());
        Assert.Contains("4 of 4", error);
        Assert.Contains("## What the evidence allows", File.ReadAllText(folder["a/ablation.md"]));
        Assert.Contains("alibi/seed-1338", File.ReadAllText(folder["a/ablation.html"]));
        Assert.Equal(5, File.ReadLines(folder["a/ablation.csv"]).Count());
        Assert.True(File.Exists(folder["a/runs/alibi/seed-1338/metrics.jsonl"]));

        var (again, same, quick) = Ablate("--vary", "model.position.kind=rope,alibi", "--seeds", "2", "--out", "a", "--json");
        Assert.Equal((0, output), (again, same));
        Assert.Contains("4 of 4", quick);
    }

    [Fact]
    public void A_repeated_cell_gives_the_same_bits()
    {
        foreach (var name in (string[])["a", "b"])
            Assert.Equal(0, Ablate("--seeds", "1", "--threads", "1", "--out", name).Code);
        Assert.Equal(Weights("a"), Weights("b"));

        byte[] Weights(string ablation) =>
            File.ReadAllBytes(folder[$"{ablation}/runs/base/seed-1337/checkpoints/step-30/model.safetensors"]);
    }

    [Fact]
    public void A_failed_run_does_not_end_the_others()
    {
        Directory.CreateDirectory(folder["a/runs/alibi/seed-1337"]);
        folder.Write("a/runs/alibi/seed-1337/config.yaml", "nothing that train could resume");
        var (code, output, error) = Ablate("--vary", "model.position.kind=rope,alibi", "--seeds", "2", "--out", "a");
        Assert.True(code == 1, error);
        Assert.Contains("1337 of alibi failed", output);
        Directory.Delete(folder["a/runs/alibi/seed-1337"], recursive: true);
        Assert.Equal(0, Ablate("--vary", "model.position.kind=rope,alibi", "--seeds", "2", "--out", "a").Code);
    }

    // The command with the runs that it has started: none of them can save.
    [Fact]
    public void Killed_at_ten_random_moments_it_finishes_with_the_same_numbers()
    {
        string[] request = ["--vary", "model.position.kind=rope,alibi", "--seeds", "2", "--threads", "1", "--json",
            "--set", "training.steps=200", "--set", "training.checkpoint_every=20", "--out"];
        var (random, kills) = (new Random(14), 0);
        for (; kills < 10; kills++)
        {
            using var command = Command.Start(folder.Path, ["ablate", "tiny.yaml", .. request, "killed"]);
            if (command.WaitOrKill(TimeSpan.FromMilliseconds(random.Next(300, 1800)))) break;
        }
        var killed = Ablate([.. request, "killed"]);
        var whole = Ablate([.. request, "whole"]);
        Assert.True((whole.Code, killed.Code) == (0, 0), whole.Error + killed.Error);
        Assert.Equal(Values(whole.Output), Values(killed.Output));
        Assert.True(kills >= 3, $"it was over after {kills} kills");

        static IEnumerable<string> Values(string output) =>
            JsonNode.Parse(output)!["designs"]!.AsArray().Select(design => design!["values"]!.ToJsonString());
    }

    [Fact]
    public void A_run_saves_and_ends_when_the_command_is_gone_and_is_resumed()
    {
        string[] request = [
            "--seeds", "1", "--set", "training.checkpoint_every=1000000", "--set", "training.evaluate_every=1000000", "--out", "a"];
        using var command = Command.Start(folder.Path, ["ablate", "tiny.yaml", .. request, "--set", "training.steps=1500"]);
        var metrics = folder["a/runs/base/seed-1337/metrics.jsonl"];
        command.Until(() => File.Exists(metrics) && new FileInfo(metrics).Length > 0);
        var children = command.Children.ToList();
        command.KillAlone();
        Assert.NotEmpty(children);
        for (var i = 0; i < 3000 && children.Exists(child => Directory.Exists($"/proc/{child}")); i++)
            Thread.Sleep(20);    // the end of a grandchild can only be polled
        Assert.InRange(File.ReadLines(metrics).Count(), 1, 1499);
        Assert.Single(Directory.GetDirectories(folder["a/runs/base/seed-1337/checkpoints"]));

        var (code, _, error) = Ablate([.. request, "--set", "training.steps=1500"]);
        Assert.True(code == 0, error);
        Assert.Equal(Enumerable.Range(1, 1500), File.ReadLines(metrics).Select(line => JsonNode.Parse(line)!["step"]!.GetValue<int>()));
    }

    [Fact]
    public void A_launcher_trains_each_run_on_several_ranks()
    {
        Command.RequireMpirun();
        var (code, _, error) = Ablate("--seeds", "1", "--out", "a", "--launcher", "mpirun --allow-run-as-root --oversubscribe -np 2");
        Assert.True(code == 0, error);
        Assert.Contains("\"ranks\": 2", File.ReadAllText(folder["a/runs/base/seed-1337/environment.json"]));
    }

    [Fact]
    public void A_launcher_that_is_not_there_is_named()
    {
        var (code, _, error) = Ablate("--launcher", "nosuchprogram -np 2");
        Assert.Equal((2, true), (code, error.Contains("nosuchprogram: cannot be started")));
    }

    public void Dispose() => folder.Dispose();

    private (int Code, string Output, string Error) Ablate(params string[] arguments) =>
        Command.Run(folder.Path, ["ablate", "tiny.yaml", .. arguments]);
}
