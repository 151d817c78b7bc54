using TorchSharp;
using Transformer.Configuration;
using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats;

public sealed class Llama2CFileTests : IDisposable
{
    private static readonly string Stories = Path.Combine(AppContext.BaseDirectory, "Goldens", "stories260k", "stories260K.bin");

    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void The_header_becomes_the_architecture()
    {
        var (model, tensors) = Llama2CFile.Read(Stories);
        Assert.Equal((64, 5, 512, 512, true), (model.Width, model.Layers, model.VocabularySize, model.ContextLength, model.TiedHead));
        Assert.Equal(new SoftmaxAttentionConfig { Heads = 8, KvHeads = 4 }, model.Attention);
        Assert.Equal(new SwiGluMlpConfig { Hidden = 172 }, model.Mlp);
        Assert.Equal(2 + 5 * 9, tensors.Count);
        Assert.Equal([172, 64], tensors["model.layers.4.mlp.gate_proj.weight"].Shape);
        Assert.Equal([64, 172], tensors["model.layers.4.mlp.down_proj.weight"].Shape);
    }

    [Fact]
    public void Weights_stand_where_the_format_puts_them()
    {
        var tensors = Llama2CFile.Read(Stories).Tensors;
        var numbers = Numbers();
        const int embedding = 512 * 64, norms = 5 * 64;
        Assert.Equal(numbers[..64], Row(tensors["model.embed_tokens.weight"], 0));
        Assert.Equal(numbers[embedding..(embedding + 64)], tensors["model.layers.0.input_layernorm.weight"].ToFloat32());
        const int values = embedding + norms + 5 * 64 * 64 + 5 * 32 * 64;
        Assert.Equal(numbers[(values + 32 * 64)..(values + 33 * 64)], Row(tensors["model.layers.1.self_attn.v_proj.weight"], 0));
        const int finalNorm = values + 5 * 32 * 64 + 5 * 64 * 64 + norms + 3 * 5 * 172 * 64;
        Assert.Equal(numbers[finalNorm..(finalNorm + 64)], tensors["model.norm.weight"].ToFloat32());
        Assert.Equal(512 * 8, numbers.Length - finalNorm - 64); // the two unused tables
    }

    [Fact]
    public void Adjacent_rows_of_a_head_of_q_and_k_come_half_a_head_apart()
    {
        var tensors = Llama2CFile.Read(Stories).Tensors;
        var numbers = Numbers();
        const int queries = 512 * 64 + 5 * 64, keys = queries + 5 * 64 * 64;
        for (var head = 0; head < 8; head++)
            for (var pair = 0; pair < 4; pair++)
                for (var side = 0; side < 2; side++)
                {
                    var (theirs, ours) = (8 * head + 2 * pair + side, 8 * head + pair + 4 * side);
                    Assert.Equal(
                        numbers[(queries + 64 * theirs)..(queries + 64 * (theirs + 1))],
                        Row(tensors["model.layers.0.self_attn.q_proj.weight"], ours));
                    if (head < 4)
                        Assert.Equal(
                            numbers[(keys + 64 * theirs)..(keys + 64 * (theirs + 1))],
                            Row(tensors["model.layers.0.self_attn.k_proj.weight"], ours));
                }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    [InlineData(-1_056_520)]
    public void Another_size_than_the_headers_is_refused(int change)
    {
        var bytes = File.ReadAllBytes(Stories);
        Array.Resize(ref bytes, bytes.Length + change);
        Assert.Contains($"{bytes.Length} bytes", Assert.Throws<InputException>(() => Read(bytes)).Message);
    }

    [Fact]
    public void Forged_headers_are_refused_before_anything_is_allocated()
    {
        var bytes = File.ReadAllBytes(Stories);
        var random = new Random(1337);
        foreach (var value in new[] { 0, -1, 3, int.MaxValue, int.MinValue, random.Next() })
            for (var field = 0; field < 7; field++)
            {
                var forged = (byte[])bytes.Clone();
                BitConverter.TryWriteBytes(forged.AsSpan(4 * field), value);
                Assert.Throws<InputException>(() => Read(forged));
            }
    }

    [Fact]
    public void The_later_format_is_refused_by_name()
    {
        var bytes = new byte[256];
        "24ka"u8.CopyTo(bytes);
        Assert.Contains("version 0", Assert.Throws<InputException>(() => Read(bytes)).Message);
    }

    private static float[] Numbers() =>
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Stories).AsSpan(7 * sizeof(int))).ToArray();

    private static float[] Row(StoredTensor matrix, int row) =>
        matrix.ToFloat32().AsSpan(row * (int)matrix.Shape[1], (int)matrix.Shape[1]).ToArray();

    private ModelConfig Read(byte[] bytes)
    {
        File.WriteAllBytes(folder["model.bin"], bytes);
        return Llama2CFile.Read(folder["model.bin"]).Model;
    }
}
