using Transformer.Configuration;
using Transformer.Data;

namespace Transformer.Tests.Data;

public sealed class TokenFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(256, 2)]
    [InlineData(65_536, 2)]
    [InlineData(65_537, 4)]
    public void Tokens_come_back_from_any_place(int vocabularySize, int width)
    {
        var ids = Enumerable.Range(0, 10_000).Select(i => i * 7919 % vocabularySize).Append(vocabularySize - 1).ToArray();
        TokenFile.Write(folder["a.tokens"], vocabularySize, ids.Chunk(333));

        using var file = TokenFile.Open(folder["a.tokens"]);

        Assert.Equal(
            (ids.Length, vocabularySize, 32 + (long)width * ids.Length),
            (file.Length, file.VocabularySize, new FileInfo(folder["a.tokens"]).Length));
        foreach (var (offset, length) in new[] { (0, ids.Length), (1, 1), (4095, 4098), (ids.Length - 1, 1), (ids.Length, 0) })
        {
            var read = new long[length];
            file.Read(offset, read);
            Assert.Equal(ids.Skip(offset).Take(length).Select(id => (long)id), read);
        }
    }

    [Fact]
    public void Reading_past_an_end_is_an_error()
    {
        TokenFile.Write(folder["a.tokens"], 10, [[1, 2, 3]]);
        using var file = TokenFile.Open(folder["a.tokens"]);

        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(2, new long[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(-1, new long[2]));
    }

    public static TheoryData<string, int, byte[]> Forgeries => new()
    {
        { "magic", 0, [0] },
        { "version", 8, [9] },
        { "width", 12, [4] },
        { "width of nothing", 12, [0] },
        { "count one more", 16, [4] },
        { "count negative", 16, [255, 255, 255, 255, 255, 255, 255, 255] },
        { "count that overflows", 16, [3, 0, 0, 0, 0, 0, 0, 0x80] },
        { "huge count", 16, [255, 255, 255, 255, 255, 255, 255, 0x3F] },
        { "no vocabulary", 24, [0] },
        { "vocabulary of another width", 24, [0, 0, 2] },
        { "vocabulary negative", 24, [255, 255, 255, 255, 255, 255, 255, 255] },
    };

    [Theory, MemberData(nameof(Forgeries))]
    public void A_forged_header_is_refused(string what, int at, byte[] bytes)
    {
        TokenFile.Write(folder["a.tokens"], 10, [[1, 2, 3]]);
        var file = File.ReadAllBytes(folder["a.tokens"]);
        bytes.CopyTo(file, at);

        var error = Assert.Throws<InputException>(() => TokenFile.Open(folder.Write("forged.tokens", file)));

        Assert.True(error.Message.Contains(folder["forged.tokens"], StringComparison.Ordinal), $"{what}: {error.Message}");
    }

    [Fact]
    public void A_file_cut_anywhere_is_refused()
    {
        TokenFile.Write(folder["a.tokens"], 10, [[1, 2, 3]]);
        var file = File.ReadAllBytes(folder["a.tokens"]);

        Assert.All(
            Enumerable.Range(0, file.Length), length =>
                Assert.Throws<InputException>(() => TokenFile.Open(folder.Write("cut.tokens", file[..length]))));
    }

    [Fact]
    public void An_id_outside_the_vocabulary_is_refused_when_it_is_read()
    {
        TokenFile.Write(folder["a.tokens"], 10, [[1, 2, 3, 10]]);
        using var file = TokenFile.Open(folder["a.tokens"]);

        file.Read(0, new long[3]);
        Assert.Contains("id 10 at token 3", Assert.Throws<InputException>(() => file.Read(2, new long[2])).Message);
    }

    [Fact]
    public void Writing_that_fails_leaves_the_old_file_and_nothing_else()
    {
        TokenFile.Write(folder["a.tokens"], 10, [[1, 2, 3]]);

        Assert.Throws<InputException>(() => TokenFile.Write(folder["a.tokens"], 10, Failing()));

        using var file = TokenFile.Open(folder["a.tokens"]);
        Assert.Equal(3, file.Length);
        Assert.Equal(["a.tokens"], folder.Names);

        static IEnumerable<int[]> Failing()
        {
            yield return [1];
            throw new InputException("the text is wrong");
        }
    }
}
