using System.Text;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Model;
using Transformer.Tests.Formats.Gguf;
using Transformer.Tokenization;

namespace Transformer.Tests.Formats;

public sealed class HeaderFuzzTests : IDisposable
{
    private const int Inputs = 60_000, Models = 250, MostAllocated = 50_000;

    // Values that break readers more often than random ones: limits of integers, off-by-one counts, types and signs of the formats.
    private static readonly byte[][] Pieces =
    [
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0, 0, 0, 0, 0x80], [0xFF, 0xFF, 0xFF, 0x7F], [1, 0, 0, 0, 0, 0, 0, 0],
        [9, 0, 0, 0], [8, 0, 0, 0], [0],
        [.. "GGUF"u8], [.. "[[[["u8], [.. "}}"u8], [.. "99999999999999999999"u8], [.. "-1"u8], [.. "\\ud800"u8],
    ];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Any_change_of_a_GGUF_header_is_refused_or_read_and_takes_no_more_memory_than_the_file_deserves() =>
        Fuzz(GgufBytes.Valid, bytes => GgufHeader.Read("file", new MemoryStream(bytes)));

    [Fact]
    public void Any_change_of_a_Safetensors_header_is_refused_or_read_and_takes_no_more_memory_than_the_file_deserves() =>
        Fuzz(
            Encoding.UTF8.GetBytes(SafetensorsHostileFileTests.Valid), bytes =>
                SafetensorsHeader.Parse("file", bytes, SafetensorsHostileFileTests.ValidData));

    // The metadata of model and tokenizer follow the header: contradictions in them, or with the tensors, are refused too, and no other
    // exception is thrown.
    [Theory]
    [InlineData("characters", 13)]
    [InlineData("pieces", 512)]
    [InlineData("pairs", 257)]
    public void Any_change_of_a_GGUF_model_is_refused_or_read(string tokens, int vocabulary)
    {
        TorchSharp.torch.manual_seed(1337);
        using var model = new TransformerModel(Tiny.Config with { Layers = 1, VocabularySize = vocabulary });
        Tokenizer tokenizer = tokens switch
        {
            "characters" => GgufModelTests.Characters(vocabulary),
            "pieces" => GgufModelTests.Stories(),
            _ => new BpeTokenizer(Enumerable.Range(0, 256).Select(value => ByteSymbols.Write([(byte)value])).Append("th")
                .Select((token, id) => (token, id)).ToDictionary(), [("t", "h")]),
        };
        var path = folder["model.gguf"];
        GgufModel.Write(path, model.Config, model.Weights.ToStored(), tokenizer, GgufPrecision.F32);
        var valid = File.ReadAllBytes(path);
        int header;
        using (var stream = new MemoryStream(valid)) header = (int)GgufHeader.Read(path, stream).DataStart;

        var (random, accepted) = (new Random(1337), 0);
        for (var input = 0; input < Models; input++)
        {
            var bytes = (byte[])valid.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--) bytes[random.Next(header)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(path, bytes);
            try
            {
                ModelImport.Import(path).Dispose();
                accepted++;
            }
            catch (InputException) { }
        }
        Assert.InRange(accepted, 1, Models - 1);
    }

    private static void Fuzz(byte[] valid, Action<byte[]> read)
    {
        var (random, accepted) = (new Random(1337), 0);
        for (var input = 0; input < Inputs; input++)
        {
            var bytes = Mutated(valid, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read(bytes);
                accepted++;
            }
            catch (InputException) { }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostAllocated);
        }
        Assert.InRange(accepted, 1, Inputs / 2);
    }

    // One to four changes: a flipped bit, a changed byte, overwritten, inserted or deleted bytes, or a doubled part.
    internal static byte[] Mutated(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (var changes = random.Next(1, 5); changes > 0 && bytes.Count > 0; changes--)
        {
            var (at, piece) = (random.Next(bytes.Count), Pieces[random.Next(Pieces.Length)]);
            var length = Math.Min(random.Next(1, 40), bytes.Count - at);
            switch (random.Next(6))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2:
                    for (var i = 0; i < piece.Length && at + i < bytes.Count; i++) bytes[at + i] = piece[i];
                    break;
                case 3: bytes.InsertRange(at, piece); break;
                case 4: bytes.RemoveRange(at, length); break;
                case 5: bytes.InsertRange(at, bytes.GetRange(at, length)); break;
            }
        }
        return [.. bytes];
    }
}
