using BenchmarkDotNet.Attributes;
using Transformer.Configuration;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>
/// A training pass, forward and backward, of one layer over one sequence: softmax attention and Gated DeltaNet with six heads of width 64.
/// </summary>
public class MixerBenchmarks
{
    private TokenMixer softmax = null!, gatedDelta = null!;
    private Tensor x = null!;

    [Params(1024, 2048, 4096, 8192)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        (softmax, gatedDelta) = (Mixer(new SoftmaxAttentionConfig { Heads = 6 }), Mixer(new LinearAttentionConfig { Heads = 6 }));
        x = randn(1, Tokens, 384).requires_grad_();    // [B, T, C]
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (var owned in (IDisposable[])[softmax, gatedDelta, x]) owned.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void Softmax() => Train(softmax);

    [Benchmark]
    public void GatedDelta() => Train(gatedDelta);

    private static TokenMixer Mixer(AttentionConfig attention) =>
        TokenMixer.FromConfig(new ModelConfig { Width = 384, ContextLength = 8192, Layers = 1, Attention = attention }, 0);

    private void Train(TokenMixer mixer)
    {
        using var scope = NewDisposeScope();
        mixer.call(x, new ForwardContext(), null).sum().backward();
    }
}
