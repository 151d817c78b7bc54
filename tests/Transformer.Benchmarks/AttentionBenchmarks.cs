using BenchmarkDotNet.Attributes;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>Causal attention of 8 x 6 heads of width 64: libtorch's fused kernel and the formula.</summary>
public class AttentionBenchmarks
{
    private Tensor q = null!, k = null!, v = null!, mask = null!;

    [Params(64, 256, 1024)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        (q, k, v) = (randn(8, 6, Tokens, 64), randn(8, 6, Tokens, 64), randn(8, 6, Tokens, 64));    // [B, H, T, D]
        mask = full([Tokens, Tokens], float.NegativeInfinity).triu(1);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (var tensor in (Tensor[])[q, k, v, mask]) tensor.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void Fused()
    {
        using var z = Aten.ScaledDotProductAttention(q, k, v, causal: true);
    }

    [Benchmark]
    public void Explicit()
    {
        using var scope = NewDisposeScope();
        nn.functional.softmax(matmul(q, k.transpose(-2, -1)) / 8 + mask, -1).matmul(v);
    }
}
