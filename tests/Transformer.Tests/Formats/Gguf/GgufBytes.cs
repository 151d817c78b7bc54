using System.Text;

namespace Transformer.Tests.Formats.Gguf;

/// <summary>Builds the bytes of a GGUF file, valid or not, part by part.</summary>
internal sealed class GgufBytes
{
    private readonly List<byte> written = [];

    /// <summary>A valid file of two tensors and three values.</summary>
    public static byte[] Valid => new GgufBytes().Header(2, 3).Value("general.architecture", 8).Text("llama").Value("n", 4).Number(7u)
        .Value("texts", 9).Number(8u).Number(2ul).Text("a").Text("b")
        .Tensor("a", 0, 0, 2, 3).Tensor("b", 8, 32, 32).Data(24).Data(34).Bytes;

    public byte[] Bytes => [.. written];

    public GgufBytes Header(ulong tensors, ulong values, uint version = 3) =>
        Number(0x46554747u).Number(version).Number(tensors).Number(values);

    public GgufBytes Value(string key, uint type) => Text(key).Number(type);

    public GgufBytes Tensor(string name, uint type, ulong begin, params ulong[] dimensions)
    {
        Text(name).Number((uint)dimensions.Length);
        foreach (var dimension in dimensions) Number(dimension);
        return Number(type).Number(begin);
    }

    public GgufBytes Text(string text) => Number((ulong)Encoding.UTF8.GetByteCount(text)).Raw(Encoding.UTF8.GetBytes(text));

    public GgufBytes Number(uint number) => Raw(BitConverter.GetBytes(number));

    public GgufBytes Number(ulong number) => Raw(BitConverter.GetBytes(number));

    public GgufBytes Raw(params byte[] bytes)
    {
        written.AddRange(bytes);
        return this;
    }

    /// <summary>Bytes of a tensor on the next boundary of 32, with padding after them.</summary>
    public GgufBytes Data(int count) => Fill().Raw(new byte[count]).Fill();

    private GgufBytes Fill() => Raw(new byte[(32 - written.Count % 32) % 32]);
}
