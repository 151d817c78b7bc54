using Transformer.Cli;

namespace Transformer.Tests.Cli;

public sealed class ChildProcessTests
{
    [Fact]
    public async Task A_child_that_is_cancelled_saves_and_can_be_resumed()
    {
        using var folder = new TemporaryFolder();
        var run = folder["run"];
        string[] words = ["train", "names", "--out", run, "--threads", "1", "--set", "training.checkpoint_every=100000"];
        using var cancellation = new CancellationTokenSource();
        var child = ChildProcess.RunAsync(words, [], cancellation.Token);
        await Begun(run);
        await cancellation.CancelAsync();
        var interrupted = await child;
        Assert.Equal((130, true), (interrupted.Code, interrupted.Error.Contains("interrupted; saved")));

        var resumed = await ChildProcess.RunAsync(
            ["train", "--resume", run, "--set", $"training.steps={StepsOf(run) + 5}", "--json"], [], TestContext.Current.CancellationToken);
        Assert.Equal((0, true), (resumed.Code, resumed.Output.StartsWith('{')));
    }

    private static int StepsOf(string run) => File.ReadLines(Path.Combine(run, "metrics.jsonl")).Count();

    private static async Task Begun(string run)
    {
        var metrics = Path.Combine(run, "metrics.jsonl");
        for (var i = 0; i < 3000 && !(File.Exists(metrics) && new FileInfo(metrics).Length > 0); i++)
            await Task.Delay(20, TestContext.Current.CancellationToken);
    }
}
