using BenchmarkDotNet.Attributes;
using Transformer.Layers.Attention;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

// H heads · D head width · d_c latent width · d_r rotary width

/// <summary>
/// The attention of one new token to those before it, 16 heads of width 32, on one thread: over latent vectors of 128 + 16 numbers, in the
/// absorbed form and with the keys and values of all tokens computed from them again, and over a cache of the keys and values of all heads.
/// </summary>
public class LatentDecodingBenchmarks
{
    private const int Heads = 16, HeadWidth = 32, LatentWidth = 128, RopeWidth = 16;

    private Tensor q = null!, qRotary = null!, latent = null!, keyMaps = null!, valueMaps = null!, keys = null!, values = null!;

    [Params(512, 4096)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        set_num_threads(1);
        (q, qRotary) = (randn(1, Heads, 1, HeadWidth), randn(1, Heads, 1, RopeWidth));
        latent = randn(1, 1, Tokens, LatentWidth + RopeWidth);
        (keyMaps, valueMaps) = (randn(Heads, HeadWidth, LatentWidth), randn(Heads, HeadWidth, LatentWidth));
        (keys, values) = (randn(1, Heads, Tokens, HeadWidth), randn(1, Heads, Tokens, HeadWidth));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (var tensor in (Tensor[])[q, qRotary, latent, keyMaps, valueMaps, keys, values]) tensor.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void Absorbed()
    {
        using var scope = NewDisposeScope();
        LatentAttention.Absorbed(q, qRotary, latent, keyMaps, valueMaps, 0.1, mask: null);
    }

    [Benchmark]
    public void KeysAndValuesComputedAgain()
    {
        using var scope = NewDisposeScope();
        LatentAttention.Explicit(q, qRotary, latent, keyMaps, valueMaps, 0.1, mask: null);
    }

    [Benchmark]
    public void KeysAndValuesOfAllHeads()
    {
        using var scope = NewDisposeScope();
        Aten.ScaledDotProductAttention(q, keys, values, scale: 0.1);
    }
}
