using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

/// <summary>Attention sinks of the authors' code (StreamingLLM) on a Llama of random weights; tolerances are the golden's.</summary>
public sealed class SinksGoldenTests
{
    private const int Steps = 60, Sinks = 4, Kept = 20, Vocabulary = 64;

    [Theory]
    [InlineData("cpu", "evict_before", 1)]
    [InlineData("torch", "evict_before", 1)]
    [InlineData("cpu", "evict_before_blocks6", 6)]
    [InlineData("torch", "evict_before_blocks6", 6)]
    [InlineData("cpu", "evict_after", 1)]
    [InlineData("torch", "evict_after", 1)]
    public void Logits_of_every_step_are_the_reference_s(string backend, string golden, int block)
    {
        using var scope = NewDisposeScope();
        var steps = Golden.Read("sinks/steps.safetensors");
        int[] ids = [.. steps["ids"].data<long>().Select(id => (int)id)];
        var expected = steps[$"{golden}.logits"];                                       // [2, steps, V]
        var isAfter = golden == "evict_after";
        using var libtorch = Llama(context: isAfter ? Kept + 1 : Kept);
        using InferenceModel model = backend == "cpu" ? CpuInferenceModel.TryCreate(libtorch)! : new TorchInferenceModel(libtorch);
        using var state = model.NewDroppingState(rows: 2);
        for (var step = 0; step < Steps; step += block)
        {
            if (!isAfter) MakeRoom(state, block);
            model.Read(
                state, [0, 1], [block, block],
                [.. ids.AsSpan(step, block), .. ids.AsSpan(Steps + step, block)], all: true);
            var found = tensor(Enumerable.Range(0, 2 * block).SelectMany(output => model.Logits(output).ToArray()).ToArray());
            Near.Equal(expected[.., step..(step + block)], found.view(2, block, Vocabulary), 5e-5, $"logits from step {step} on");
            if (isAfter) MakeRoom(state, 0);
        }
    }

    private static void MakeRoom(SequenceState state, int block)
    {
        for (var row = 0; row < 2; row++)
            if (state.Lengths[row] + block - Kept is > 0 and var excess) state.Drop(row, Sinks, excess);
    }

    private static TransformerModel Llama(int context)
    {
        var model = new TransformerModel(new ModelConfig
        {
            Width = 32,
            Layers = 2,
            ContextLength = context,
            VocabularySize = Vocabulary,
            TiedHead = false,
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 },
            Position = new RotaryPositionConfig(),
            Mlp = new SwiGluMlpConfig { Hidden = 48 },
            Norm = new RmsNormConfig { Epsilon = 1e-5 },
        });
        using var _ = no_grad();
        foreach (var (name, value) in Golden.Read("sinks/weights.safetensors")) model.Weight(name).copy_(value);
        return model;
    }
}
