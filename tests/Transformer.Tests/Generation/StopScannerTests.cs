using Transformer.Generation;

namespace Transformer.Tests.Generation;

public sealed class StopScannerTests
{
    [Theory]
    [InlineData("one STOP two", "one ", "STOP")]
    [InlineData("aaaab", "aa", "aab")]                  // the first a's look like the beginning of the stop string
    [InlineData("abcabd.", "abc", "abd")]
    [InlineData("xabcdy", "xab", "abcdef", "cd")]       // one begins earlier, the other is complete first
    [InlineData("xabcdy", "x", "bcd", "abcd")]          // both are complete at once
    [InlineData("x\r\ny", "x", "\r\n", "\n")]
    [InlineData("STO", "STO", "STOP")]
    [InlineData("nothing", "nothing")]
    public void Text_before_the_stop_string_comes_out_however_it_is_cut(string text, string expected, params string[] stops)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var scanner = new StopScanner(stops);
            var written = "";
            foreach (var piece in text.Chunk(size))
                if (!scanner.Stopped) written += scanner.Append(new string(piece));
            written += scanner.Flush();

            Assert.Equal((size, expected, expected != text), (size, written, scanner.Stopped));
        }
    }

    [Fact]
    public void Only_what_may_become_a_stop_string_is_held_back()
    {
        var scanner = new StopScanner(["###", "END"]);

        Assert.Equal(["a ", "", "##E b", ""], ((string[])["a #", "#", "E b", "E"]).Select(scanner.Append));
        Assert.Equal("E", scanner.Flush());
    }
}
