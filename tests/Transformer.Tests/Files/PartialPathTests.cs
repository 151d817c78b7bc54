using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Tests.Files;

public sealed class PartialPathTests : IDisposable
{
    private const string Id = "0123456789abcdef0123456789abcdef";
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void What_a_killed_process_left_is_removed_by_the_next_one_that_writes_there()
    {
        folder.Write($"model.gguf.{Id}.partial", "half");
        folder.Write($"model.gguf.{Id}.lock", "");
        DurableFile.WriteText(folder["model.gguf"], "whole");
        Assert.Equal(["model.gguf"], folder.Names);

        Directory.CreateDirectory(folder[$"model.{Id}.partial"]);
        folder.Write($"model.{Id}.partial/weights", "half");
        DurableFolder.Write(folder["model"], made => File.WriteAllText(Path.Combine(made, "weights"), "whole"));
        Assert.Equal(["model", "model.gguf"], folder.Names.Order());
        Assert.Equal("whole", File.ReadAllText(folder["model/weights"]));
    }

    [Fact]
    public void What_a_killed_process_was_just_replacing_is_there_again()
    {
        Directory.CreateDirectory(folder[$"model.{Id}.replaced"]);
        folder.Write($"model.{Id}.replaced/weights", "old");
        Assert.Throws<InputException>(() => DurableFolder.Write(folder["model"], _ => throw new IOException("full")));
        Assert.Equal("old", File.ReadAllText(folder["model/weights"]));
        Assert.Equal(["model"], folder.Names);
    }

    [Fact]
    public void What_another_is_writing_there_stays_and_so_does_what_belongs_to_other_places()
    {
        folder.Write($"model.gguf.bak.{Id}.partial", "another place's");
        folder.Write("model.gguf.partial", "the user's own");
        using (var other = new PartialPath(folder["model.gguf"]))
        {
            File.WriteAllText(other.New, "half");
            DurableFile.WriteText(folder["model.gguf"], "whole");
            Assert.Equal("half", File.ReadAllText(other.New));
        }
        Assert.Equal(["model.gguf", $"model.gguf.bak.{Id}.partial", "model.gguf.partial"], folder.Names.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(28, "file.txt", "Free space there")]
    [InlineData(17, "file.txt/run", "file.txt is a file, not a folder. Choose another folder.")]
    [InlineData(13, "none/run", "Choose another folder that exists and may be written.")]
    public void The_advice_is_for_what_went_wrong(int code, string path, string advice)
    {
        folder.Write("file.txt", "");
        var message = DurableFile.Unwritable(folder[path], new IOException("it failed", code)).Message;
        Assert.EndsWith(advice, message.Replace(", or choose another folder.", "", StringComparison.Ordinal));
    }
}
