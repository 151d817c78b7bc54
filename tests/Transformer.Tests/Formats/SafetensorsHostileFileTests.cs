using System.Buffers.Binary;
using System.Text;
using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Tests.Formats;

public sealed class SafetensorsHostileFileTests : IDisposable
{
    internal const string Valid =
        """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},""" +
        """ "b":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}}""";
    internal const int ValidData = 19;

    private readonly string path = Path.GetTempFileName();

    public void Dispose() => File.Delete(path);

    [Fact]
    public void The_valid_file_that_the_others_are_made_of_is_read()
    {
        using var file = Open(Bytes(Valid, ValidData));
        Assert.Equal(["a", "b"], file.Names);
        Assert.Equal([2, 2], file.Shape("a"));
        Assert.Equal("pt", file.Metadata["format"]);
    }

    [Fact]
    public void A_file_cut_off_anywhere_is_refused()
    {
        var whole = Bytes(Valid, ValidData);
        for (var length = 0; length < whole.Length; length++)
            Assert.Throws<InputException>(() => Open(whole[..length]).Dispose());
    }

    [Theory]
    [InlineData(
        """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""",
        12,
        "overlap")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}""", 6, "holes")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3, "holes")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 3, "1 bytes follow")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 3, "cut off")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}""", 2, "end before they begin")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}""", 9, "F32 [2] needs 8")]
    [InlineData("""{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}""", 8, "dtype C64")]
    [InlineData("""{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}""", 4, "dtype Number")]
    [InlineData("""{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}""", 1, "shape holds")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}""", 1, "shape holds")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}""", 1, "data_offsets holds")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,99999999999999999999]}}""", 1, "data_offsets holds")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", 1, "incomplete")]
    [InlineData("""{"a":{"dtype":"U8","data_offsets":[0,1]}}""", 1, "incomplete")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4294967296,2147483648],"data_offsets":[0,0]}}""", 0, "64 bits")]
    [InlineData("""{"a":{"dtype":"F64","shape":[1152921504606846976],"data_offsets":[0,0]}}""", 0, "64 bits")]
    [InlineData("""{"a":{"dtype":"U8","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "64 bits")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""",
        2,
        "twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}""", 1, "repeated key shape")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"code":"x"}}""", 1, "key code")]
    [InlineData("""{"a":7}""", 0, "found Number")]
    [InlineData("""{"__metadata__":{"a":7}}""", 0, "expected a string")]
    [InlineData("""{"__metadata__":{"a":"x","a":"y"}}""", 0, "twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[[[[[1]]]]],"data_offsets":[0,1]}}""", 1, "not valid JSON")]
    [InlineData("""{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "not valid JSON")]
    [InlineData("""{} {}""", 0, "not valid JSON")]
    [InlineData("""{"a":""", 0, "not valid JSON")]
    [InlineData("""[]""", 0, "does not start with '{'")]
    [InlineData(""" {}""", 0, "does not start with '{'")]
    [InlineData("", 0, "does not start with '{'")]
    public void A_false_header_is_refused_by_name(string header, int data, string expected)
    {
        var error = Assert.Throws<InputException>(() => Open(Bytes(header, data)).Dispose());
        Assert.Contains(expected, error.Message);
        Assert.StartsWith(path, error.Message);
    }

    [Fact]
    public void A_path_without_a_file_is_refused()
    {
        Assert.Contains("nothing", Assert.Throws<InputException>(() => SafetensorsFile.Open(path + "-nothing")).Message);
        Assert.Throws<InputException>(() => SafetensorsFile.Open(Path.GetTempPath()));
    }

    [Fact]
    public void Deep_nesting_is_refused_without_deep_recursion() =>
        Assert.Throws<InputException>(() => Open(Bytes("""{"__metadata__":{"a":""" + new string('[', 1_000_000), 0)).Dispose());

    [Fact]
    public void Invalid_UTF_8_is_refused()
    {
        var bytes = Bytes(Valid, ValidData);
        bytes[Array.IndexOf(bytes, (byte)'a', 8)] = 0xff;
        Assert.Contains("UTF-8", Assert.Throws<InputException>(() => Open(bytes).Dispose()).Message);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(long.MaxValue)]
    [InlineData(1ul << 40)]
    [InlineData(100_000_001)]
    public void A_header_longer_than_the_file_is_refused_before_memory_is_taken_for_it(ulong length)
    {
        var bytes = Bytes(Valid, ValidData);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InputException>(() => Open(bytes).Dispose());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    private static byte[] Bytes(string header, int data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + json.Length + data];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        return bytes;
    }

    private SafetensorsFile Open(byte[] bytes)
    {
        File.WriteAllBytes(path, bytes);
        return SafetensorsFile.Open(path);
    }
}
