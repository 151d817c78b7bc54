using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tokenization;

namespace Transformer.Tests.Cli;

public sealed class EvaluateVerbTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string undecided;

    // All weights are zero, so that every one of the four characters is as likely as the others.
    public EvaluateVerbTests()
    {
        undecided = folder["model"];
        var config = new ModelConfig
        {
            Width = 8,
            ContextLength = 4,
            Layers = 1,
            VocabularySize = 4,
            Attention = new SoftmaxAttentionConfig { Heads = 2 },
        };
        using var model = new TransformerModel(config);
        using (torch.no_grad())
            foreach (var (_, weight) in model.Weights) weight.zero_();
        CheckpointFolder.Save(undecided, config, model.Weights.ToStored(), new CharacterTokenizer([.. "abcé".EnumerateRunes()]));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_model_that_cannot_decide_between_four_characters_has_perplexity_4()
    {
        var text = folder.Write("text", "abcéabcéab");
        var result = (await CliRun.Of("evaluate", undecided, undecided, "--data", text, "--json")).Json.AsArray();
        Assert.Equal(2, result.Count);
        Assert.Equal(undecided, (string)result[1]!["model"]!);
        Assert.Equal(Math.Log(4), (double)result[1]!["loss"]!, 1e-6);
        Assert.Equal(4, (double)result[1]!["perplexity"]!, 1e-5);
        Assert.Equal((9, 11), ((int)result[1]!["tokens"]!, (int)result[1]!["bytes"]!));    // the first a is only read
        Assert.Equal(2 * 9 / 11.0, (double)result[1]!["bits_per_byte"]!, 1e-6);
        Assert.Equal(2 / 9.0, (double)result[1]!["accuracy"]!, 1e-12);    // it says a, the first of four, and two of the nine are
    }

    [Fact]
    public async Task A_text_shorter_than_the_context_is_one_short_window()
    {
        var result = (await CliRun.Of("evaluate", undecided, "--data", folder.Write("text", "abc"), "--json")).Json[0]!;
        Assert.Equal(2, (int)result["tokens"]!);
        Assert.Equal(Math.Log(4), (double)result["loss"]!, 1e-6);
    }

    [Fact]
    public async Task The_report_for_people_has_a_line_a_model()
    {
        var run = await CliRun.Of("evaluate", undecided, "--data", folder.Write("text", "abcéabcéab"));
        Assert.Matches(@"^model +loss +perplexity +bits/byte +accuracy +tokens\n.*model +1\.3863 +4 +1\.6364 +0\.2222 +9\n$", run.Output);
    }

    [Fact]
    public async Task Losses_by_position_are_drawn_and_given_to_scripts()
    {
        var (text, picture) = (folder.Write("text", "abcéabcéab"), folder["loss.svg"]);
        var result = (await CliRun.Of("evaluate", undecided, "--data", text, "--by-position", picture, "--json")).Json[0]!;
        Assert.Equal((undecided, 9, 4), ((string)result["model"]!, (int)result["tokens"]!, (int)result["segment"]!));
        Assert.All(result["loss_by_place"]!.AsArray(), place => Assert.Equal(Math.Log(4), (double)place!, 1e-6));
        Assert.Equal((4, 9), (result["loss_by_place"]!.AsArray().Count, result["loss_by_part"]!.AsArray().Count));
        Assert.Contains("</svg>", File.ReadAllText(picture));
        var shown = (await CliRun.Of("evaluate", undecided, "--data", text, "--by-position", picture)).Output;
        Assert.EndsWith($"The picture is in {picture}\n", shown);
    }

    [Fact]
    public async Task A_wrong_request_is_refused()
    {
        await CliRun.Refuses($"evaluate {undecided} --data {folder.Write("x", "abxd")}", "'x' (U+0078) at position 2, 'd'");
        await CliRun.Refuses($"evaluate {undecided} --data {folder.Write("one", "a")}", "expected two or more");
        await CliRun.Refuses($"evaluate {undecided} --data nowhere", "nowhere: no such file");
        await CliRun.Refuses($"evaluate {undecided}", "Name a text with --data FILE");
        await CliRun.Refuses("evaluate nowhere --data builtin:names", "nowhere: no such file or folder");
        await CliRun.Refuses($"evaluate {undecided} --by-position loss.png", "expected a name that ends with .svg");
        await CliRun.Refuses($"evaluate {undecided} --by-position loss.svg", "Name a text with --data FILE");
        await CliRun.Refuses($"evaluate {undecided} --by-position loss.svg --precision bf16", "leave out --set and --precision");
        await CliRun.Refuses($"evaluate {undecided} --by-position loss.svg --set data.task.pairs=2", "leave out --set and --precision");
    }
}
