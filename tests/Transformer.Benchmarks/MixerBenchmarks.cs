using BenchmarkDotNet.Attributes;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>A training pass, forward and backward, of one layer over one text: softmax attention and Gated DeltaNet with six heads of width 64.</summary>
public class MixerBenchmarks
{
    private readonly TokenMixer softmax = new SoftmaxAttention(new SoftmaxAttentionConfig { Heads = 6 }, 384);
    private readonly TokenMixer gatedDelta = new LinearAttention(new LinearAttentionConfig { Heads = 6 }, 384);
    private Tensor x = null!;

    [Params(1024, 2048, 4096, 8192)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup() => x = randn(1, Tokens, 384).requires_grad_();    // [B, T, C]

    [GlobalCleanup]
    public void Cleanup() => x.Dispose();

    [Benchmark(Baseline = true)]
    public void Softmax() => Train(softmax);

    [Benchmark]
    public void GatedDelta() => Train(gatedDelta);

    private void Train(TokenMixer mixer)
    {
        using var scope = NewDisposeScope();
        mixer.call(x, new ForwardContext(), null).sum().backward();
    }
}
