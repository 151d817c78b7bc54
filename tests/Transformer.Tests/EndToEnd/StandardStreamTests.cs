using System.Diagnostics;
using Transformer.Cli;

namespace Transformer.Tests.EndToEnd;

/// <summary>What happens where standard output or standard error cannot be written, or what is read has no end.</summary>
public sealed class StandardStreamTests : IDisposable
{
    private readonly Workplace here = new();

    public StandardStreamTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /dev/full and a POSIX shell");

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("2>/dev/full")]
    [InlineData("2>&-")]
    [InlineData(">/dev/full 2>/dev/full")]
    [InlineData("<&- >&- 2>&-")]
    public void A_message_that_cannot_be_written_never_ends_a_run(string redirection)
    {
        var (code, output, error) = InShell($"\"$@\" {redirection}", "train", "tiny.yaml", "--out", "run", "--set", "training.steps=3");
        Assert.Equal((CommandLine.Done, "", ""), (code, output, error));
        Assert.Equal("step-3\n", File.ReadAllText(here["run/checkpoints/latest"]));
        Assert.Equal(3, here.Steps("run"));
    }

    [Theory]
    [InlineData(">/dev/full", "No space left on device")]
    [InlineData(">&-", "it is closed")]
    public async Task Results_that_cannot_be_written_end_with_1_and_one_line(string redirection, string reason)
    {
        await here.Train("run", "--set", "training.steps=1");
        foreach (var line in (string[])["recipes", "config schema", "generate run --prompt line", "evaluate run --json", "train --help"])
        {
            var (code, output, error) = InShell($"\"$@\" {redirection}", line.Split(' '));
            Assert.Equal((CommandLine.Failed, ""), (code, output));
            Assert.Equal($"standard output: cannot be written ({reason})\n", error);
        }
    }

    [Fact]
    public async Task A_reader_that_has_enough_ends_the_command_quietly()
    {
        await here.Train("run", "--set", "training.steps=1");
        var (code, output, error) = InShell(
            "\"$@\" | head -n 1; exit ${PIPESTATUS[0]}", "generate", "run", "--prompt", "line", "--max-tokens", "1000000000");
        Assert.Equal(CommandLine.Done, code);
        Assert.Single(output.TrimEnd('\n').Split('\n'));
        Assert.True(error.Length == 0 || error.Trim().StartsWith("The context of 16 tokens is full", StringComparison.Ordinal), error);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(80)]
    public void Where_too_few_files_may_be_open_there_is_one_line(int files)
    {
        var (code, output, error) = InShell($"ulimit -n {files}; \"$@\"", "train", "tiny.yaml", "--out", "run");
        Assert.True(code is CommandLine.Failed or CommandLine.Refused, $"{code}\n{error}");
        Assert.Empty(output);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public async Task What_has_no_end_is_read_up_to_a_bound()
    {
        await here.Train("run", "--set", "training.steps=1");
        foreach (var line in (string[])
            ["config show /dev/zero", "generate HERE/run --prompt-file /dev/zero", "generate HERE/run --prompts /dev/zero",
                "generate HERE/run --json-schema /dev/zero", "import HERE --tokenizer /dev/zero --out HERE/new"])
        {
            var (code, output, error) = await Workplace.Request(
                [.. line.Replace("HERE", here.Folder, StringComparison.Ordinal).Split(' ')]);
            Assert.Equal((CommandLine.Refused, ""), (code, output));
            Assert.True(line.StartsWith("import", StringComparison.Ordinal) || error.Contains("it has more than 64 MiB"), error);
        }
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public void A_pipe_that_nobody_writes_is_waited_for_until_a_signal(string signal)
    {
        var watch = Stopwatch.StartNew();
        var (code, _, _) = InShell(
            $"mkfifo pipe; env --default-signal=INT \"$@\" & sleep 3; kill -{signal} $!; wait $!", "config", "show", "pipe");
        Assert.Equal(signal == "TERM" ? 143 : 130, code);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 60);
    }

    [Fact]
    public void A_pipe_gives_a_configuration_like_a_file()
    {
        var (code, output, error) = InShell("\"$@\" <(cat tiny.yaml)", "config", "show");
        Assert.True(code == CommandLine.Done && output.Contains("width: 16", StringComparison.Ordinal), error);
    }

    private (int Code, string Output, string Error) InShell(string line, params string[] arguments)
    {
        using var command = Command.StartInShell(here.Folder, ["bash", "-c", line, "bash"], arguments);
        return command.Wait();
    }
}
