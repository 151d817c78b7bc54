using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Formats;
using Transformer.Tokenization;

namespace Transformer.Tests.EndToEnd;

/// <summary>Generating from a checkpoint on a CPU needs no libtorch: it works where libtorch cannot be loaded.</summary>
public sealed class WithoutLibTorchTests : IDisposable
{
    private readonly TemporaryFolder here = new();

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("rope_dynamic_ntk")]
    [InlineData("t5")]
    [InlineData("sinusoidal")]
    [InlineData("dynamic")]
    [InlineData("gated_delta")]
    [InlineData("mixture in hyper_connections")]
    public async Task A_checkpoint_writes_the_same_text_without_libtorch(string kind)
    {
        using (var model = Tiny.Model(kind))
            CheckpointFolder.Save(
                here["model"], model.Config, model.Weights.ToStored(), new CharacterTokenizer([.. "abcdefghijklm".EnumerateRunes()]));
        string[] request = ["generate", here["model"], "--prompt", "abc", "--max-tokens", "8"];
        var (_, expected, _) = await Workplace.Request(request);

        using var process = Command.StartInShell(here[""], ["env", "TRANSFORMER_LIBTORCH=/nowhere"], request);
        var (code, output, error) = process.Wait();
        Assert.True(code == CommandLine.Done, error);
        Assert.Equal(expected, output);
    }

    [Fact]
    public void What_needs_libtorch_says_that_it_is_missing()
    {
        using var process = Command.StartInShell(here[""], ["env", "TRANSFORMER_LIBTORCH=/nowhere"], "evaluate", here["model"]);
        var (code, _, error) = process.Wait();
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("TRANSFORMER_LIBTORCH=/nowhere: no libtorch_cpu.so there", error);
    }
}
