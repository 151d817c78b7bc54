using BenchmarkDotNet.Attributes;
using Transformer.Layers.Norms;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>The norms over 2048 tokens: each is one pass over the memory.</summary>
public class NormBenchmarks
{
    private Tensor x = null!, weight = null!;
    private RmsNorm norm = null!;

    [Params(384, 1024)]
    public int Width { get; set; }

    [GlobalSetup]
    public void Setup() => (x, weight, norm) = (randn(2048, Width), ones(Width), new RmsNorm(Width, 1e-5));

    [GlobalCleanup]
    public void Cleanup()
    {
        x.Dispose();
        weight.Dispose();
        norm.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void Rms()
    {
        using var _ = no_grad();
        using var y = norm.call(x);
    }

    [Benchmark]
    public void RmsOfLibtorch()
    {
        using var y = Aten.RmsNorm(x, weight, 1e-5);
    }

    [Benchmark]
    public void Layer()
    {
        using var y = nn.functional.layer_norm(x, [Width], weight);
    }
}
