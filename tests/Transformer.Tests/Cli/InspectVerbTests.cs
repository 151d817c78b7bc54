using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tokenization;

namespace Transformer.Tests.Cli;

public sealed class InspectVerbTests : IDisposable
{
    private const string Characters = "ab c\n";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Groups_of_equal_length_end_with_every_third_token_the_first_included()
    {
        var model = Save([1, new HourglassConfig { Shorten = 3, Layers = 1 }]);
        var result = (await CliRun.Of("inspect", model, "--prompt", "ab cab c", "--out", folder["groups.svg"], "--json")).Json;
        Assert.Equal(["a", "b", " ", "c", "a", "b", " ", "c"], result["tokens"]!.AsArray().Select(token => (string)token!));
        var hourglass = Assert.Single(result["hourglasses"]!.AsArray())!;
        Assert.Equal(("model.layers.1", 3), ((string)hourglass["path"]!, (int)hourglass["shorten"]!));
        Assert.Equal([0, 3, 6], hourglass["ends"]!.AsArray().Select(end => (int)end!));
        Assert.Null(hourglass["probabilities"]);
        Assert.Contains("</svg>", File.ReadAllText(folder["groups.svg"]));
    }

    // The learned network is nothing but its last bias, which is the logit of every boundary.
    [Fact]
    public async Task Boundaries_are_told_with_the_probabilities_that_a_network_predicts()
    {
        var model = Save(
            [
                new HourglassConfig { Boundaries = new WhiteSpaceBoundariesConfig { Tokens = [2, 4] }, Layers = 1 },
                new HourglassConfig { Boundaries = new LearnedBoundariesConfig(), Layers = 1 },
            ]);
        var hourglasses = (await CliRun.Of("inspect", model, "--prompt", "a c\nb", "--out", folder["groups.svg"], "--json"))
            .Json["hourglasses"]!.AsArray();
        Assert.Equal(["white_space", "learned"], hourglasses.Select(hourglass => (string)hourglass!["boundaries"]!));
        Assert.Equal([1, 3], hourglasses[0]!["ends"]!.AsArray().Select(end => (int)end!));
        Assert.Null(hourglasses[0]!["probabilities"]);
        Assert.Equal([0, 1, 2, 3, 4], hourglasses[1]!["ends"]!.AsArray().Select(end => (int)end!));
        Assert.All(hourglasses[1]!["probabilities"]!.AsArray(), p => Assert.Equal(1 / (1 + Math.Exp(-2)), (double)p!, 1e-6));
    }

    // Segments of eight tokens, each with a memory token before and behind it.
    [Fact]
    public async Task Groups_of_segments_begin_with_their_memory_tokens()
    {
        var model = Save([new HourglassConfig { Shorten = 3, Layers = 1 }], new RecurrentMemoryConfig { Tokens = 1 });
        var hourglass = (await CliRun.Of("inspect", model, "--prompt", "aaaaaaaaaa", "--out", folder["groups.svg"], "--json"))
            .Json["hourglasses"]![0]!;
        Assert.Equal([2, 5], hourglass["ends"]!.AsArray().Select(end => (int)end!));
    }

    [Fact]
    public async Task A_line_for_each_hourglass_is_shown_to_people()
    {
        var model = Save([1, new HourglassConfig { Shorten = 2, Layers = 1 }]);
        var run = await CliRun.Of("inspect", model, "--prompt", "abc", "--out", folder["groups.svg"]);
        Assert.Equal($"model.layers.1: 3 tokens, 2 groups\nThe picture is in {folder["groups.svg"]}\n", run.Output);
    }

    [Fact]
    public async Task A_wrong_request_is_refused_and_nothing_is_written()
    {
        var (model, picture) = (Save([1, new HourglassConfig { Shorten = 2, Layers = 1 }]), folder["groups.svg"]);
        await CliRun.Refuses($"inspect {model} --prompt abx --out {picture}", "'x' (U+0078) at position 2");
        await CliRun.Refuses($"inspect {model} --prompt aaaaaaaaa --out {picture}", "has 9 tokens, and the context of");
        await CliRun.Refuses($"inspect {model} --prompt aaaaaaaaa --out {picture}", "is 8 tokens; give a shorter text");
        await CliRun.Refuses($"inspect {model} --prompt  --out {picture}", "--prompt: found nothing, expected a text");
        await CliRun.Refuses($"inspect {model} --prompt a --out groups.png", "found groups.png, expected a name that ends with .svg");
        await CliRun.Refuses($"inspect {model} --prompt a --out {folder["nowhere/groups.svg"]}", "cannot be written");
        await CliRun.Refuses($"inspect nowhere --prompt a --out {picture}", "nowhere: no such file or folder");
        var plain = Save(1);
        await CliRun.Refuses($"inspect {plain} --prompt a --out {picture}", $"{plain}: has no hourglass (model.layers: 1)");
        Assert.False(File.Exists(picture));
    }

    private string Save(LayersConfig layers, MemoryConfig? memory = null)
    {
        var path = folder[$"model {layers.Blocks}".Replace(' ', '-')];
        var config = new ModelConfig
        {
            Width = 8,
            ContextLength = 8,
            Layers = layers,
            VocabularySize = Characters.Length,
            Attention = new SoftmaxAttentionConfig { Heads = 2 },
            Memory = memory,
        };
        using var model = new TransformerModel(config);
        using (torch.no_grad())
        {
            foreach (var (name, weight) in model.Weights)
                if (name.Contains("boundaries.down_proj")) weight.fill_(name.EndsWith("bias", StringComparison.Ordinal) ? 2 : 0);
        }
        CheckpointFolder.Save(path, config, model.Weights.ToStored(), new CharacterTokenizer([.. Characters.EnumerateRunes()]));
        return path;
    }
}
