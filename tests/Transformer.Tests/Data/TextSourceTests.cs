using Transformer.Configuration;
using Transformer.Data;

namespace Transformer.Tests.Data;

public sealed class TextSourceTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(3)]
    [InlineData(65_535)]
    [InlineData(200_000)]
    public void The_first_byte_that_is_not_UTF8_is_named_by_its_offset(int offset)
    {
        var bytes = new byte[offset + 10];
        Array.Fill(bytes, (byte)'a');
        bytes[offset] = 0xE4;
        var path = folder.Write("wrong.txt", bytes);

        Assert.Contains($"0xE4 at offset {offset} ", Assert.Throws<InputException>(() => TextSource.At(path).ReadAll()).Message);
    }

    [Fact]
    public void A_character_that_the_end_cuts_off_is_refused() =>
        Assert.Contains(
            "offset 1 ", Assert.Throws<InputException>(() => TextSource.At(folder.Write("cut.txt", [0x61, 0xE4, 0xB8])).ReadAll()).Message);

    [Fact]
    public void Characters_of_all_lengths_survive_the_edges_of_the_buffer()
    {
        foreach (var shift in Enumerable.Range(0, 4))
        {
            var text = new string('a', shift) + string.Concat(Enumerable.Repeat("é中😀\r\n", 20_000));
            Assert.Equal(text, TextSource.At(folder.Write("text.txt", text)).ReadAll());
        }
    }

    [Fact]
    public void A_byte_order_mark_is_dropped_at_the_start_only() =>
        Assert.Equal("a\uFEFFb", TextSource.At(folder.Write("mark.txt", "\uFEFFa\uFEFFb")).ReadAll());

    [Fact]
    public void A_missing_an_empty_file_and_a_folder_are_refused_by_name()
    {
        var (missing, empty, directory) = (folder["missing.txt"], folder.Write("empty.txt", ""), folder["folder"]);
        Directory.CreateDirectory(directory);

        Assert.All(
            [missing, empty, directory], path => Assert.Contains(path, Assert.Throws<InputException>(() => TextSource.At(path)).Message));
    }

    [Fact]
    public void A_misspelt_builtin_corpus_brings_the_nearest_name() =>
        Assert.Contains(
            "did you mean builtin:tinyshakespeare?", Assert.Throws<InputException>(() => TextSource.At("builtin:tinyshakespear")).Message);
}
