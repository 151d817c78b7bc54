using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>The product [Rows, 512] x [512, 2048] as in a linear layer: one row is decoding, 2048 rows are a training batch.</summary>
public class MatrixBenchmarks
{
    private Tensor x = null!, weight = null!;

    [Params(1, 8, 2048)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void Setup() => (x, weight) = (randn(Rows, 512), randn(2048, 512));

    [GlobalCleanup]
    public void Cleanup()
    {
        x.Dispose();
        weight.Dispose();
    }

    [Benchmark]
    public void Linear()
    {
        using var y = nn.functional.linear(x, weight);
    }
}
