using System.Security.Cryptography;
using System.Text.Json;
using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Generation;
using Transformer.Inference.Torch;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats.Gguf;

/// <summary>llama.cpp's own files and numbers; see Goldens/gguf/README.md for how they were made.</summary>
public sealed class GgufGoldenTests : IDisposable
{
    private static readonly JsonElement Checks = JsonDocument.Parse(File.ReadAllText(Golden.PathOf("gguf/checks.json"))).RootElement;

    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("gguf/stories260K-q4_0.gguf", "stories260K_q4_0", "F16 F32 Q4_0 Q8_0")]
    [InlineData("gguf/mixed-q4_k_m.gguf", "mixed_q4_k_m", "F32 Q4_K Q5_0 Q6_K")]
    public void Blocks_of_llama_cpp_are_read_as_the_same_numbers_bit_for_bit(string golden, string check, string types)
    {
        using var file = GgufFile.Open(Golden.PathOf(golden));
        Assert.Equal(types, string.Join(' ', file.Names.Select(file.Type).Distinct().Order()));
        var expected = Hashes($"{check}_numbers_sha256");
        Assert.Equal(expected.Keys.Order(), file.Names.Order());
        foreach (var name in file.Names) Assert.Equal((name, expected[name]), (name, Hash(file.Read(name).to(float32).contiguous().bytes)));
    }

    [Fact]
    public void A_file_of_the_kind_Q4_K_S_is_opened()
    {
        using var model = LoadedModel.Open(Golden.PathOf("faults/gguf-q4ks/q4_k_s.gguf"));
        using var file = GgufFile.Open(Golden.PathOf("faults/gguf-q4ks/q4_k_s.gguf"));
        Assert.Contains("Q5_K", file.Names.Select(file.Type));
    }

    [Fact]
    public void Q4_0_is_written_as_llama_cpp_writes_it_byte_for_byte()
    {
        var (ours, theirs) = (Write(GgufPrecision.Q4), Raw(Golden.PathOf("gguf/stories260K-q4_0.gguf")));
        Assert.Equal(theirs.Keys.Order(), ours.Keys.Order());
        foreach (var (name, bytes) in theirs) Assert.True(bytes.AsSpan().SequenceEqual(ours[name]), name);
    }

    [Fact]
    public void Q8_0_is_written_as_llama_cpp_writes_it_byte_for_byte() =>
        Assert.Equal(
            Hashes("stories260K_q8_0_sha256"), Write(GgufPrecision.Q8).ToDictionary(tensor => tensor.Key, tensor => Hash(tensor.Value)));

    [Theory]
    [InlineData("stories260K", null)]
    [InlineData("stories260K_q4_0", "gguf/stories260K-q4_0.gguf")]
    [InlineData("mixed_q4_k_m", "gguf/mixed-q4_k_m.gguf")]
    public void Tokens_are_those_of_llama_cpp_and_their_probabilities_within_a_thousandth(string check, string? golden)
    {
        using var model = LoadedModel.Open(golden is null ? StoriesFile(GgufPrecision.F32) : Golden.PathOf(golden));
        var text = Checks.GetProperty(check).GetProperty("text").GetString()!;
        using var kernels = ModelInference.Of(model.Model);
        var ids = new TextGenerator(kernels, model.Tokenizer).Encode(text);
        Assert.Equal(Checks.GetProperty(check).GetProperty("ids").Deserialize<int[]>(), ids);

        using var inference = inference_mode();
        // [1, T, V]
        var logProbabilities = nn.functional.log_softmax(model.Model.call(tensor(ids, int64).unsqueeze(0), null), -1);
        // [T - 1]
        var found = logProbabilities[0, ..^1].gather(-1, tensor(ids[1..], int64).unsqueeze(-1)).squeeze(-1);
        Near.Equal(tensor(Checks.GetProperty(check).GetProperty("log_probabilities").Deserialize<float[]>()!), found, 1e-3, check);
    }

    [Fact]
    public void Stories_through_a_file_are_the_known_text()
    {
        using var model = LoadedModel.Open(StoriesFile(GgufPrecision.F32));
        using var kernels = ModelInference.Of(model.Model);
        var written = new TextGenerator(kernels, model.Tokenizer)
            .GenerateText(
                [""], SamplingOptions.Greedy with { MaxTokens = 200 }, cancellation: TestContext.Current.CancellationToken)[0].Text;
        Assert.Equal(File.ReadAllText(Golden.PathOf("stories260k/greedy_200_tokens.txt")).Trim(), written.Trim());
    }

    private static Dictionary<string, string> Hashes(string check) => Checks.GetProperty(check).Deserialize<Dictionary<string, string>>()!;

    private static string Hash(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private Dictionary<string, byte[]> Write(GgufPrecision precision) => Raw(StoriesFile(precision));

    private string StoriesFile(GgufPrecision precision)
    {
        using var stories = ModelImport.Import(Golden.PathOf("stories260k/stories260K.bin"));
        GgufModel.Write(folder["stories.gguf"], stories.Model, stories.Tensors.Values, GgufModelTests.Stories(), precision);
        return folder["stories.gguf"];
    }

    private static Dictionary<string, byte[]> Raw(string path)
    {
        using var stream = File.OpenRead(path);
        var header = GgufHeader.Read(path, stream);
        return header.Tensors.Values.ToDictionary(tensor => tensor.Name, tensor =>
        {
            var bytes = new byte[tensor.Bytes];
            stream.Position = header.DataStart + tensor.Begin;
            stream.ReadExactly(bytes);
            return bytes;
        });
    }
}
