using BenchmarkDotNet.Attributes;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>One AdamW step over ten million parameters in one range: four arrays are read and three written.</summary>
public class AdamWBenchmarks
{
    private const int Parameters = 10_000_000;
    private Tensor values = null!, gradients = null!, means = null!, squares = null!, steps = null!;

    [GlobalSetup]
    public void Setup() =>
        (values, gradients, means, squares, steps) = (randn(Parameters), randn(Parameters), zeros(Parameters), zeros(Parameters), ones(1));

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (var tensor in (Tensor[])[values, gradients, means, squares, steps]) tensor.Dispose();
    }

    [Benchmark]
    public void Fused() => Aten.FusedAdamW(
        [values], [gradients], [means], [squares], [steps], learningRate: 1e-3, beta1: 0.9, beta2: 0.95, weightDecay: 0.1, epsilon: 1e-8,
        gradientScale: null);
}
