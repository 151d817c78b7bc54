using BenchmarkDotNet.Attributes;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>
/// An attention layer over 8,192 tokens, projections included, forward and backward: all earlier tokens, the last 256, and a ramp of 32.
/// </summary>
public class WindowBenchmarks
{
    private static readonly Dictionary<string, WindowConfig> Windows = new()
    {
        ["full"] = new FullWindowConfig(),
        ["sliding"] = new SlidingWindowConfig { Size = 256 },
        ["adaptive"] = new AdaptiveWindowConfig { Maximum = 1024 },    // spans begin at zero
    };

    private nn.Module<Tensor, ForwardContext, LayerState?, Tensor> layer = null!;
    private Tensor x = null!;

    [Params("full", "sliding", "adaptive")]
    public string Window { get; set; } = "";

    [Params(128, 384)]
    public int Width { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var config = new SoftmaxAttentionConfig { Heads = Width / 64, Window = Windows[Window] };
        (layer, x) = (new SoftmaxAttention(config, Width), randn(1, 8192, Width));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        layer.Dispose();
        x.Dispose();
    }

    [Benchmark]
    public void Train()
    {
        using var scope = NewDisposeScope();
        layer.call(x, new ForwardContext(), null).sum().backward();
        layer.zero_grad();
    }
}
