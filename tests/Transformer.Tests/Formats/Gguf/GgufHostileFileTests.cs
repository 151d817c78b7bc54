using Transformer.Configuration;
using Transformer.Formats.Gguf;

namespace Transformer.Tests.Formats.Gguf;

public sealed class GgufHostileFileTests
{
    private const ulong Huge = ulong.MaxValue;

    private static readonly IReadOnlyDictionary<string, (Func<GgufBytes, GgufBytes> Make, string Problem)> Cases =
        new Dictionary<string, (Func<GgufBytes, GgufBytes>, string)>
        {
            ["nothing"] = (file => file, "does not begin with GGUF"),
            ["another format"] = (file => file.Raw([.. "PK\x03\x04 and more"u8]), "does not begin with GGUF"),
            ["the first version"] = (file => file.Header(0, 0, version: 1), "version 1, expected 2 or 3"),
            ["the greatest byte first"] = (file => file.Header(0, 0, version: 3u << 24), "version 50331648"),
            ["as many tensors as there are numbers"] = (file => file.Header(Huge, 0), $"{Huge} tensors"),
            ["as many values as there are numbers"] = (file => file.Header(0, Huge), $"{Huge} metadata values"),
            ["more values than follow"] = (file => file.Header(0, 2).Value("a", 4).Number(7u), "2 metadata values"),
            ["a key beyond the file"] = (file => file.Header(0, 1).Number(1000ul).Raw(new byte[20]), "1000 bytes of text"),
            ["a text as long as there are numbers"] = (
            file => file.Header(0, 1).Value("a", 8).Number(Huge).Raw(new byte[20]), $"{Huge} bytes of text"),
            ["a text that is not UTF-8"] = (file => file.Header(0, 1).Value("a", 8).Number(2ul).Raw(0xC3, 0x28), "not UTF-8"),
            ["an unknown type"] = (file => file.Header(0, 1).Value("a", 13).Raw(new byte[20]), "a value of type 13"),
            ["an array as long as there are numbers"] = (
            file => file.Header(0, 1).Value("a", 9).Number(12u).Number(Huge).Raw(new byte[20]), $"{Huge} numbers"),
            ["an array whose bytes overflow"] = (
            file => file.Header(0, 1).Value("a", 9).Number(12u).Number(1ul << 61).Raw(new byte[20]), $"{1ul << 61} numbers"),
            ["an array of texts beyond the file"] = (
            file => file.Header(0, 1).Value("a", 9).Number(8u).Number(5ul).Raw(new byte[39]), "5 texts"),
            ["an array of arrays"] = (
                file => file.Header(0, 1).Value("a", 9).Number(9u).Number(1ul).Raw(new byte[20]), "an array of arrays"),
            ["an array of an unknown type"] = (
            file => file.Header(0, 1).Value("a", 9).Number(77u).Number(1ul).Raw(new byte[20]), "an array of type 77"),
            ["a key twice"] = (
                file => file.Header(0, 2).Value("a", 4).Number(7u).Value("a", 4).Number(7u), "a stands twice in the metadata"),
            ["an alignment of three"] = (file => file.Header(0, 1).Value("general.alignment", 4).Number(3u), "general.alignment: found 3"),
            ["an alignment of none"] = (file => file.Header(0, 1).Value("general.alignment", 4).Number(0u), "general.alignment: found 0"),
            ["an alignment in words"] = (
                file => file.Header(0, 1).Value("general.alignment", 8).Text("wide"), "general.alignment: found wide"),
            ["a tensor of five dimensions"] = (file => file.Header(1, 0).Tensor("a", 0, 0, 1, 1, 1, 1, 1), "a: 5 dimensions"),
            ["a tensor of all dimensions"] = (
            file => file.Header(1, 0).Text("a").Number(uint.MaxValue).Raw(new byte[40]), "a: 4294967295 dimensions"),
            ["a tensor of an unknown type"] = (
            file => file.Header(1, 0).Tensor("a", 16, 0, 256).Data(66), "ggml's type 16, expected one of F32, F16, Q4_0"),
            ["a dimension of zero"] = (file => file.Header(1, 0).Tensor("a", 0, 0, 0, 4).Data(16), "a: a dimension of 0"),
            ["a dimension below zero"] = (file => file.Header(1, 0).Tensor("a", 0, 0, Huge, 4).Data(16), "a: a dimension of -1"),
            ["a size that overflows"] = (
            file => file.Header(1, 0).Tensor("a", 0, 0, 1ul << 62, 1ul << 62, 1ul << 62, 1ul << 62).Data(16), "is larger than the file"),
            ["a size that overflows to what is there"] = (
            file => file.Header(1, 0).Tensor("a", 0, 0, 1ul << 33, 1ul << 31).Data(16), "is larger than the file"),
            ["rows that are no whole blocks"] = (
            file => file.Header(1, 0).Tensor("a", 8, 0, 16, 2).Data(34), "a: rows of 16, but Q8_0 has blocks of 32"),
            ["a tensor twice"] = (
                file => file.Header(2, 0).Tensor("a", 0, 0, 4).Tensor("a", 0, 32, 4).Data(16).Data(16), "a: stands twice"),
            ["tensors that overlap"] = (
            file => file.Header(2, 0).Tensor("a", 0, 0, 4).Tensor("b", 0, 0, 4).Data(16).Data(16),
            "b: begins at byte 0 of the data, expected 32"),
            ["tensors with a hole"] = (
            file => file.Header(2, 0).Tensor("a", 0, 0, 4).Tensor("b", 0, 64, 4).Data(16).Data(16).Data(16),
            "b: begins at byte 64 of the data, expected 32"),
            ["a tensor off its boundary"] = (
            file => file.Header(2, 0).Tensor("a", 0, 0, 4).Tensor("b", 0, 16, 4).Data(32), "b: begins at byte 16 of the data, expected 32"),
            ["a tensor before the data"] = (
            file => file.Header(1, 0).Tensor("a", 0, unchecked((ulong)-32), 4).Data(16), "a: begins at byte -32"),
            ["a tensor that ends behind the file"] = (
            file =>
                file.Header(1, 0).Tensor("a", 0, 0, 9).Data(0).Raw(new byte[35]), "a: ends at byte 36 of the data, but the file holds 35"),
            ["bytes that belong to nothing"] = (
            file => file.Header(1, 0).Tensor("a", 0, 0, 4).Data(16).Data(32), "bytes follow the last tensor"),
            ["names that would clear the terminal"] = (
            file => file.Header(1, 0).Tensor("a\u001b[2J", 99, 0, 4), "a?[2J: numbers of ggml's type 99"),
        };

    public static TheoryData<string> Falsehoods => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Falsehoods))]
    public void A_false_header_is_refused_by_name(string falsehood)
    {
        var bytes = Cases[falsehood].Make(new GgufBytes()).Bytes;
        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<InputException>(() => Read(bytes));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 50_000);
        Assert.StartsWith("false.gguf: not a valid GGUF file\n  ", error.Message);
        Assert.Contains(Cases[falsehood].Problem, error.Message);
    }

    [Fact]
    public void The_valid_file_is_read()
    {
        var header = Read(GgufBytes.Valid);
        Assert.Equal(["a", "b"], header.Tensors.Keys);
        Assert.Equal([3, 2], header.Tensors["a"].Shape);
        Assert.Equal((32, 34), (header.Tensors["b"].Begin, header.Tensors["b"].Bytes));
        Assert.Equal(7u, header.Metadata["n"]);
    }

    // The padding after the last tensor may be missing.
    [Fact]
    public void A_file_cut_off_anywhere_is_refused()
    {
        var whole = GgufBytes.Valid;
        for (var length = 0; length < whole.Length - 30; length++) Assert.Throws<InputException>(() => Read(whole[..length]));
        Read(whole[..^30]);
    }

    [Fact]
    public void A_path_without_a_file_is_refused()
    {
        Assert.Contains(
            "nothing.gguf: cannot be read", Assert.Throws<InputException>(() => GgufFile.Open("/nowhere/nothing.gguf")).Message);
        Assert.Throws<InputException>(() => GgufFile.Open(Path.GetTempPath()));
    }

    private static GgufHeader Read(byte[] bytes) => GgufHeader.Read("false.gguf", new MemoryStream(bytes));
}
