using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · C width · H heads · D head width · E value width · d_c latent width · d_r rotary width

public sealed class LatentAttentionTests
{
    private const int Width = 16, H = 4;

    public LatentAttentionTests() => manual_seed(1);

    [Theory]
    [InlineData(4, 6, 5)]
    [InlineData(4, 2, 12)]    // values wider than keys
    [InlineData(3, 0, 3)]
    public void A_layer_is_the_paper_s_equations_in_values_and_gradients(int headWidth, int ropeWidth, int valueWidth)
    {
        using var scope = NewDisposeScope();
        var heads = new LatentAttentionConfig { Heads = H, HeadWidth = headWidth, ValueWidth = valueWidth, KvRank = 9 };
        using var layer = Layer(heads with { RopeWidth = ropeWidth, QueryRank = 7, Bias = true });
        var context = Context(tokens: 11, ropeWidth);
        var (x, direction) = (randn(2, 11, Width), randn(2, 11, Width));
        var parameters = layer.parameters().ToList();
        Assert.Equal(10, parameters.Count);    // three projections with biases, two without, two norms

        var (expected, found) = (Equations(layer, x, context, headWidth, ropeWidth), layer.call(x, context, null));
        Near.Equal(expected, found, 1e-5, "values");
        foreach (var (equation, kernel) in Gradients(expected).Zip(Gradients(found)))
            Near.Equal(equation, kernel, 1e-5 * Math.Max(1, equation.abs().max().item<float>()), "gradient");

        List<Tensor> Gradients(Tensor y)
        {
            foreach (var parameter in parameters) parameter.grad = null;
            (y * direction).sum().backward();
            return [.. parameters.Select(parameter => parameter.grad!.clone())];
        }
    }

    // The paper's section 2.1.2: W_UK moves to the query, W_UV to the output.
    [Fact]
    public void Attending_to_the_latent_vectors_is_attending_to_the_keys_and_values_made_of_them()
    {
        using var scope = NewDisposeScope();
        var (q, qRotary, latent) = (randn(2, H, 3, 5), randn(2, H, 3, 4), randn(2, 1, 9, 7 + 4));
        var (keyMaps, valueMaps) = (randn(H, 5, 7), randn(H, 6, 7));
        var mask = (arange(9).unsqueeze(0) <= tensor((long[])[4, 6, 8, 2, 3, 4], [2, 3, 1])).unsqueeze(1);    // [B, 1, T, S]
        foreach (var visible in (Tensor?[])[mask, null])
            Near.Equal(
                LatentAttention.Explicit(q, qRotary, latent, keyMaps, valueMaps, 0.3, visible),
                LatentAttention.Absorbed(q, qRotary, latent, keyMaps, valueMaps, 0.3, visible), 1e-5);
    }

    // Under a norm that changes nothing: each token has a mean square of one.
    [Fact]
    public void With_latent_vectors_that_are_the_stream_it_is_multi_head_attention()
    {
        using var scope = NewDisposeScope();
        using var latent = Layer(new() { Heads = H, KvRank = Width, RopeWidth = 0 });
        using var plain = new SoftmaxAttention(new() { Heads = H }, Width);
        Tiny.CopyWeights(plain, latent);    // q_proj and o_proj
        using (no_grad())
        {
            latent.Weight("kv_a_layernorm.weight").fill_(1);
            latent.Weight("kv_a_proj_with_mqa.weight").copy_(eye(Width));
            latent.Weight("kv_b_proj.weight").copy_(cat([ByHead("k_proj"), ByHead("v_proj")], 1).flatten(0, 1));
        }
        var x = randn(2, 7, Width);
        x = x / x.square().mean([-1], keepdim: true).sqrt();
        Near.Equal(plain.call(x, new ForwardContext(), null), latent.call(x, new ForwardContext(), null), 1e-5);

        Tensor ByHead(string projection) => plain.Weight($"{projection}.weight").unflatten(0, [H, -1]);
    }

    [Fact]
    public void The_rotated_part_of_a_key_is_one_for_all_heads_and_the_only_place_of_positions()
    {
        using var scope = NewDisposeScope();
        using var layer = Layer(new() { Heads = H, KvRank = Width, RopeWidth = 4 });
        using (no_grad())
        {
            layer.Weight("kv_a_layernorm.weight").fill_(1);
            layer.Weight("kv_a_proj_with_mqa.weight").copy_(cat([eye(Width), 0.5 * randn(4, Width)]));
        }
        var context = Context(tokens: 7, ropeWidth: 4);
        var x = randn(2, 7, Width);
        x = x / x.square().mean([-1], keepdim: true).sqrt();

        var q = matmul(x, layer.Weight("q_proj.weight").t()).unflatten(2, [H, 8]).transpose(1, 2);
        var kv = matmul(x, layer.Weight("kv_b_proj.weight").t()).unflatten(2, [H, 8]).transpose(1, 2);
        var shared = context.Rotation!.Apply(matmul(x, layer.Weight("kv_a_proj_with_mqa.weight")[16..].t()).unsqueeze(1));
        q = cat([q[TensorIndex.Ellipsis, ..4], context.Rotation!.Apply(q[TensorIndex.Ellipsis, 4..])], -1);
        var k = cat([kv[TensorIndex.Ellipsis, ..4], shared.expand(-1, H, -1, -1)], -1);
        var z = SoftmaxAttention.Explicit(q, k, kv[TensorIndex.Ellipsis, 4..], 1 / Math.Sqrt(8), SoftmaxAttention.CausalMask(7, CPU));
        Near.Equal(matmul(z.transpose(1, 2).flatten(2), layer.Weight("o_proj.weight").t()), layer.call(x, context, null), 1e-5);
    }

    [Fact]
    public void A_cache_holds_a_latent_vector_and_a_rotated_key_a_token_however_many_heads_there_are()
    {
        using var state = Layer(new() { Heads = 16, KvRank = 9, RopeWidth = 6 }).NewState(rows: 3, length: 10, CPU);
        Assert.Equal(3 * 10 * (9 + 6) * sizeof(float), state.Bytes);
    }

    [Fact]
    public void Scores_are_divided_by_the_width_of_a_whole_query_under_muP_and_by_its_root_else()
    {
        var attention = new LatentAttentionConfig { Heads = 4, HeadWidth = 12, KvRank = 8, RopeWidth = 4 };
        Assert.Equal(1 / 4.0, Tiny.Config.ScoreScale(attention));
        Assert.Equal(1 / 16.0, (Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4 } }).ScoreScale(attention));
    }

    private static LatentAttention Layer(LatentAttentionConfig config)
    {
        var layer = new LatentAttention(config, Width);
        using var _ = no_grad();
        foreach (var parameter in layer.parameters()) parameter.add_(0.2 * randn_like(parameter));    // norms and biases too
        return layer;
    }

    private static ForwardContext Context(int tokens, int ropeWidth) => ropeWidth == 0
        ? new()
        : new() { Rotation = new RotaryPosition(new RotaryPositionConfig { Theta = 10 }, ropeWidth, tokens, CPU).At(0, tokens) };

    private static Tensor Equations(LatentAttention layer, Tensor x, ForwardContext context, int headWidth, int ropeWidth)
    {
        var cq = Norm("q_a_layernorm", Map("q_a_proj", x) + layer.Weight("q_a_proj.bias"));
        var q = Map("q_b_proj", cq).unflatten(2, [H, -1]).transpose(1, 2);
        var a = Map("kv_a_proj_with_mqa", x) + layer.Weight("kv_a_proj_with_mqa.bias");
        var c = Norm("kv_a_layernorm", a[TensorIndex.Ellipsis, ..9]).unsqueeze(1);
        var (qRotary, kRotary) = (q.narrow(-1, headWidth, ropeWidth), a.narrow(-1, 9, ropeWidth).unsqueeze(1));
        if (context.Rotation is { } rotation) (qRotary, kRotary) = (rotation.Apply(qRotary), rotation.Apply(kRotary));
        var maps = layer.Weight("kv_b_proj.weight").unflatten(0, [H, -1]);
        var z = LatentAttention.Explicit(
            q.narrow(-1, 0, headWidth), qRotary, cat([c, kRotary], -1), maps[.., ..headWidth], maps[.., headWidth..],
            1 / Math.Sqrt(headWidth + ropeWidth), SoftmaxAttention.CausalMask(x.shape[1], CPU));
        return Map("o_proj", z.transpose(1, 2).flatten(2)) + layer.Weight("o_proj.bias");

        Tensor Map(string name, Tensor from) => matmul(from, layer.Weight($"{name}.weight").t());

        Tensor Norm(string name, Tensor from) =>
            from / (from.square().mean([-1], keepdim: true) + 1e-6).sqrt() * layer.Weight($"{name}.weight");
    }
}
