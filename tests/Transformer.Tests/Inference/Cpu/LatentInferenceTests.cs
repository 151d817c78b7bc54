using Transformer.Configuration;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu;

public sealed class LatentInferenceTests
{
    private static readonly LatentAttentionConfig Attention = new() { Heads = 4, KvRank = 10, RopeWidth = 6 };

    [Theory]
    [InlineData(4)]
    [InlineData(64)]
    public void A_state_is_a_latent_vector_and_a_rotated_key_a_token_and_layer_however_many_heads_there_are(int heads)
    {
        using var model = new TransformerModel(Tiny.Config with { Attention = Attention with { Heads = heads, HeadWidth = 4 } });
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 3, capacity: 8);
        Assert.Equal(3 * 2 * 8 * (10 + 6) * sizeof(float), state.Bytes);
    }

    // Slots are in groups of eight; what a row's earlier text left in the last group must not count.
    [Fact]
    public void What_an_earlier_text_has_left_changes_nothing()
    {
        manual_seed(1);
        using var model = new TransformerModel(Tiny.Config with { Attention = Attention });
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var used = engine.NewState(rows: 1);
        using var unused = engine.NewState(rows: 1);
        using (var poisoned = CpuInferenceModel.TryCreate(Poisoned(model))!)
        {
            // The numbers of a text of another model, none of them finite, in the memory of this one's row.
            using var state = poisoned.NewState(rows: 1);
            poisoned.Read(state, [0], [12], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
            used.Prepare([12]);
            foreach (var (to, from) in used.Parts(0).Zip(state.Parts(0)))
            {
                var numbers = new float[from.Count];
                from.CopyTo(numbers);
                Assert.Contains(numbers, float.IsNaN);
                to.CopyFrom(numbers);
            }
            used.Clear(0);
        }
        engine.Read(used, [0], [5], [1, 2, 3, 4, 5]);
        var found = engine.Logits(0).ToArray();
        engine.Read(unused, [0], [5], [1, 2, 3, 4, 5]);
        Assert.Equal(engine.Logits(0).ToArray(), found);
        Assert.DoesNotContain(found, float.IsNaN);
    }

    private static TransformerModel Poisoned(TransformerModel model)
    {
        var poisoned = new TransformerModel(model.Config);
        using var _ = no_grad();
        poisoned.Weight("model.embed_tokens.weight").fill_(float.NaN);
        return poisoned;
    }
}
