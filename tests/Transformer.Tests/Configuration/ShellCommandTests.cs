using Transformer.Configuration;

namespace Transformer.Tests.Configuration;

public class ShellCommandTests
{
    [Theory]
    [InlineData("runs/a", "transformer train --resume runs/a")]
    [InlineData("my runs/a", "transformer train --resume 'my runs/a'")]
    [InlineData("it's", @"transformer train --resume 'it'\''s'")]
    [InlineData("$HOME", "transformer train --resume '$HOME'")]
    [InlineData("", "transformer train --resume ''")]
    public void A_word_that_a_shell_would_take_apart_is_quoted(string folder, string command)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "quotes are those of a POSIX shell");
        Assert.Equal(command, ShellCommand.Of("train", "--resume", folder));
    }

    [Theory]
    [InlineData("/home/a/.dotnet/tools/transformer", "transformer")]
    [InlineData("/opt/tools/transformer", "/opt/tools/transformer")]
    [InlineData("/home/a/repo/src/bin/Transformer.Cli", "src/bin/Transformer.Cli")]
    [InlineData("/home/a/repo/Transformer.Cli", "./Transformer.Cli")]
    [InlineData("/home/a/a b/Transformer.Cli", "'../a b/Transformer.Cli'")]
    [InlineData("/usr/share/dotnet/dotnet", "dotnet src/bin/Transformer.Cli.dll")]
    public void The_program_is_named_as_it_was_started(string process, string program)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "paths are those of Unix");
        Assert.Equal(program, ShellCommand.Invocation(
            process, "/home/a/repo/src/bin/Transformer.Cli.dll", ["", "/usr/bin", "/home/a/.dotnet/tools"], "/home/a/repo"));
    }
}
