using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Vision;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Vision;

/// <summary>Patches and shuffles by einops and torch, and open_flamingo's resampler; tolerances are those of the goldens.</summary>
public sealed class VisionGoldenTests
{
    [Fact]
    public void Patches_go_by_rows_and_their_numbers_by_channel_row_and_column()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/patches.safetensors");
        Near.Equal(golden["numbered_patches"], PatchEmbedding.Patches(golden["numbered_pixels"], 4, 4), 0);
        var patches = PatchEmbedding.Patches(golden["pixels"], 4, 4);
        Near.Equal(golden["embedded"], nn.functional.linear(patches, golden["weight"].flatten(1), golden["bias"]), 1e-5);
    }

    [Fact]
    public void Patches_may_overlap()
    {
        using var scope = NewDisposeScope();
        var picture = arange(25, float32).view(1, 1, 5, 5);
        var patches = PatchEmbedding.Patches(picture, 3, 2);
        Near.Equal(tensor(new float[] { 2, 3, 4, 7, 8, 9, 12, 13, 14 }), patches[0, 1], 0);
        Near.Equal(tensor(new float[] { 10, 11, 12, 15, 16, 17, 20, 21, 22 }), patches[0, 2], 0);
    }

    [Theory]
    [InlineData("4x4_by_2", 2)]
    [InlineData("6x6_by_2", 2)]
    [InlineData("6x6_by_3", 3)]
    public void A_shuffle_puts_the_channels_of_neighbours_one_behind_the_other(string name, int factor)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("fusion/pixel_shuffle.safetensors");
        Near.Equal(golden[$"{name}.y"], PixelShuffle.Shuffle(golden[$"{name}.x"], factor), 0);
    }

    // Frames and pictures have embeddings of their own there; they are added to what the resampler reads.
    [Theory]
    [InlineData("plain")]
    [InlineData("with_embeddings")]
    public void A_resampler_reads_media_and_latents_together(string name)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read($"fusion/resampler/{name}.safetensors");
        var x = golden["x"].requires_grad_();                                                       // [B, I, frames, patches, C]
        using var resampler = Resampler(golden);
        var media = x;
        if (golden.TryGetValue("weight.frame_embs", out var frames)) media = media + frames.requires_grad_().unsqueeze(1);
        media = media.flatten(2, 3);
        if (golden.TryGetValue("weight.media_time_embs", out var pictures)) media = media + pictures.requires_grad_();
        var y = resampler.Resample(media.flatten(0, 1), new ForwardContext()).view(golden["y"].shape);
        Near.Equal(golden["y"], y, 3e-5, "output");
        (y * golden["w"]).sum().backward();
        Near.Equal(golden["grad_x"], x.grad!, 1.5e-4, "gradient of the media");
        Near.Equal(golden["grad.latents"], resampler.Weight("latents.weight").grad!, 1.5e-4, "gradient of the latents");
        Near.Equal(golden["grad.norm.weight"], resampler.Weight("norm.weight").grad!, 1.5e-4, "gradient of the norm");
        Near.Equal(
            golden["grad.layers.0.0.to_kv.weight"], cat(
                [resampler.Weight("layers.0.cross_attn.k_proj.weight").grad!, resampler.Weight("layers.0.cross_attn.v_proj.weight").grad!]),
            1.5e-4, "gradient of keys and values");
        if (frames is not null) Near.Equal(golden["grad.frame_embs"], frames.grad!, 1.5e-4, "gradient of the frames' embeddings");
        if (pictures is not null)
            Near.Equal(golden["grad.media_time_embs"], pictures.grad!, 1.5e-4, "gradient of the pictures' embeddings");
    }

    private static PerceiverResampler Resampler(Dictionary<string, Tensor> golden)
    {
        var config = new PerceiverResamplerConfig
        {
            Latents = 5,
            Layers = 2,
            Heads = 3,
            HeadWidth = 8,
            Mlp = new GeluMlpConfig { Hidden = 40 }
        };
        var encoder = new ImageEncoderConfig { Width = 20 }.ModelOf(Tiny.Config with { Norm = new LayerNormConfig() }, patches: 7);
        var resampler = new PerceiverResampler(config, encoder, width: 4);
        using var _ = no_grad();
        var read = resampler.named_parameters().Where(found => !found.name.StartsWith("proj.", StringComparison.Ordinal));
        foreach (var (name, parameter) in read) parameter.copy_(Its(name));
        return resampler;

        Tensor Its(string name)
        {
            var its = "weight." + (name == "latents.weight" ? "latents" : name).Replace("norm_media", "0.norm_media")
                .Replace("norm_latents", "0.norm_latents").Replace("norm_mlp", "1.0").Replace("mlp.up_proj", "1.1")
                .Replace("mlp.down_proj", "1.3").Replace("cross_attn.q_proj", "0.to_q").Replace("cross_attn.o_proj", "0.to_out")
                .Replace("cross_attn.k_proj", "0.to_kv").Replace("cross_attn.v_proj", "0.to_kv");
            var found = golden[its];
            return name.Contains("k_proj") ? found.narrow(0, 0, 24) : name.Contains("v_proj") ? found.narrow(0, 24, 24) : found;
        }
    }
}
