using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using Transformer.Layers.Vision;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Vision;

// B batch · T tokens · C width

/// <summary>open_flamingo's gated cross-attention, alone and before a block of a Llama; tolerances are those of the goldens.</summary>
public sealed class GatedCrossAttentionGoldenTests
{
    private const double Values = 3e-5, Gates = 1.5e-4, Gradients = 3e-5;
    private const string Attention = "cross_attn", FeedForward = "cross_mlp";

    private static readonly (string Ours, string Its)[] Names =
    [
        ($"{Attention}_layernorm.weight", "attn.norm.weight"), ($"{Attention}_layernorm.bias", "attn.norm.bias"),
        ($"{Attention}.q_proj.weight", "attn.to_q.weight"), ($"{Attention}.k_proj.weight", "attn.to_kv.weight"),
        ($"{Attention}.v_proj.weight", "attn.to_kv.weight"), ($"{Attention}.o_proj.weight", "attn.to_out.weight"),
        ($"{Attention}_residual.gate", "attn_gate"), ($"{FeedForward}_layernorm.weight", "ff.0.weight"),
        ($"{FeedForward}_layernorm.bias", "ff.0.bias"), ($"{FeedForward}.up_proj.weight", "ff.1.weight"),
        ($"{FeedForward}.down_proj.weight", "ff.3.weight"), ($"{FeedForward}_residual.gate", "ff_gate"),
    ];

    [Fact]
    public void Values_and_gradients_are_the_reference_s()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/gated_cross/immediate.safetensors");
        using var block = Loaded(24, 20, 3, 4, "fusion/gated_cross/weights.safetensors", "");
        var (x, media) = (golden["x"].requires_grad_(), golden["media"].requires_grad_());
        var y = block.call(x, Context(media, golden["media_locations"]));
        Near.Equal(golden["y"], y, Values, "output");
        (y * golden["w"]).sum().backward();
        Near.Equal(golden["grad_x"], x.grad!, Gradients, "gradient of the stream");
        Near.Equal(golden["grad_media"], media.grad!, Gradients, "gradient of the media");
        foreach (var (ours, its) in Names)
        {
            var whole = golden[$"grad.{its}"];
            var tolerance = ours.EndsWith("gate", StringComparison.Ordinal) ? Gates : Gradients;
            Near.Equal(Part(ours, whole), block.Weight(ours).grad!, tolerance, ours);
        }
    }

    [Fact]
    public void Closed_gates_leave_the_stream_as_it_is_and_learn()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/gated_cross/immediate.safetensors");
        using var block = Loaded(24, 20, 3, 4, "fusion/gated_cross/weights.safetensors", "");
        using (no_grad())
            foreach (var gate in new[] { Attention, FeedForward }) block.Weight($"{gate}_residual.gate").zero_();
        var x = golden["x"];
        var y = block.call(x, Context(golden["media"], golden["media_locations"]));
        Near.Equal(x, y, 0, "the stream");
        (y * golden["w"]).sum().backward();
        Near.Equal(golden["gates_zero_grad_attn_gate"], block.Weight($"{Attention}_residual.gate").grad!, Gates, "gate of the attention");
        Near.Equal(golden["gates_zero_grad_ff_gate"], block.Weight($"{FeedForward}_residual.gate").grad!, Gates, "gate of the MLP");
        Near.Equal(zeros(24, 20), block.Weight($"{Attention}.k_proj.weight").grad!, 0, "keys");
    }

    [Fact]
    public void Only_the_last_picture_is_seen_and_none_before_the_first()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/gated_cross/immediate.safetensors");
        using var block = Loaded(24, 20, 3, 4, "fusion/gated_cross/weights.safetensors", "");
        var y = block.call(golden["x"], Context(golden["media"], golden["media_locations"]));
        for (var picture = 0; picture < 3; picture++)
        {
            var other = golden["media"].clone();
            other.select(1, picture).add_(1);
            var changed = (block.call(golden["x"], Context(other, golden["media_locations"])) != y).any(-1);    // [B, T]
            Near.Equal(golden["text_sees_image"].select(2, picture) > 0, changed, 0, $"picture {picture}");
        }
    }

    [Fact]
    public void A_token_after_the_text_sees_the_picture_that_the_state_holds()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/gated_cross/immediate.safetensors");
        using var block = Loaded(24, 20, 3, 4, "fusion/gated_cross/weights.safetensors", "");
        var (x, marks) = (golden["x"], golden["media_locations"]);
        var attention = (PictureAttention)block.Stateful.Single();
        using var state = attention.NewState(3, CPU);
        var states = new Dictionary<nn.Module, LayerState> { [attention] = state };
        var first = Context(golden["media"], marks.narrow(1, 0, 11)) with { States = states };
        var before = block.call(x.narrow(1, 0, 11), first);
        var last = block.call(x.narrow(1, 11, 1), new ForwardContext { States = states });
        Near.Equal(golden["y"], cat([before, last], 1), Values);
        Near.Equal(golden["y_cached_media"], last, Values);
    }

    [Fact]
    public void A_llama_with_a_gated_block_gives_the_reference_s_logits_and_gradients()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/flamingo_lm/forward.safetensors");
        var weights = Golden.Read("fusion/flamingo_lm/weights.safetensors");
        using var text = FusionModels.Llama(weights, "");
        using var gated = Loaded(32, 20, 2, 3, "fusion/flamingo_lm/weights.safetensors", "cross.1.");
        var ids = golden["ids"];
        var logits = FusionModels.Logits(text, text.Embed(ids), Before);
        Near.Equal(golden["logits"], logits, Values, "logits");
        Near.Equal(golden["text_logits"], text.forward(ids, null), Values, "logits of the text model");
        var loss = LanguageModelLoss.CrossEntropy(logits.narrow(1, 0, 13), ids.narrow(1, 1, 13));
        Near.Equal(golden["loss"].item<float>(), loss.item<float>(), 1e-5, "loss");
        loss.backward();
        foreach (var (ours, its) in Names)
            Near.Equal(Part(ours, golden[$"grad.cross.1.{its}"]), gated.Weight(ours).grad!, Gates, ours);

        Tensor Before(int depth, Tensor stream) =>
            depth == 1 ? gated.call(stream, Context(golden["media"], (ids == 60).to(int64))) : stream;
    }

    // Rows have pictures of their own: number m of row b is b K + m.
    private static ForwardContext Context(Tensor media, Tensor marks)
    {
        var (rows, pictures) = (media.shape[0], media.shape[1]);
        return new()
        {
            Pictures = new(media.flatten(0, 1), arange(rows * pictures, int64).view(rows, pictures), marks.cumsum(1)),
        };
    }

    private static Tensor Part(string ours, Tensor whole) => !ours.Contains("k_proj") && !ours.Contains("v_proj") ? whole
        : whole.narrow(0, ours.Contains("k_proj") ? 0 : whole.shape[0] / 2, whole.shape[0] / 2);

    private static Block Loaded(int width, int sourceWidth, int heads, int vectors, string file, string prefix)
    {
        var vision = new GatedCrossAttentionConfig
        {
            Heads = heads,
            HeadWidth = 8,
            Projector = new PerceiverResamplerConfig { Latents = vectors },
            Mlp = new GeluMlpConfig { Hidden = 2 * width },
        };
        var model = Tiny.Config with { Width = width, Norm = new LayerNormConfig(), Vision = vision };
        SublayerSpec[] names = [.. SublayerSpec.Gated(0)];
        var block = new Block(
            [
                new Sublayer(model, names[0], new PictureAttention(vision, width, sourceWidth: sourceWidth)),
                new Sublayer(model, names[1], Mlp.FromConfig(vision.Mlp, width)),
            ], depth: 0);
        using var _ = no_grad();
        var weights = Golden.Read(file);
        foreach (var (ours, its) in Names) block.Weight(ours).copy_(Part(ours, weights[prefix + its]));
        return block;
    }
}
