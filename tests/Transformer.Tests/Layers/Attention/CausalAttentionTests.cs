using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · G key/value heads · D head width

public sealed class CausalAttentionTests
{
    private const double Scale = 0.3, Tolerance = 5e-6;

    public CausalAttentionTests() => manual_seed(1);

    [Theory]
    [InlineData(1, 1, 1, 2, true)]
    [InlineData(5, 4, 4, 6, true)]
    [InlineData(47, 4, 2, 20, true)]
    [InlineData(48, 3, 1, 32, true)]
    [InlineData(49, 4, 2, 18, true)]
    [InlineData(130, 6, 2, 34, true)]
    [InlineData(1, 2, 1, 5, false)]
    [InlineData(49, 2, 2, 7, false)]
    [InlineData(130, 4, 1, 9, false)]
    public void Turning_and_attending_at_once_equals_the_two_steps(int tokens, int heads, int keyValueHeads, int headWidth, bool rotary)
    {
        using var scope = NewDisposeScope();
        var rotation = rotary ? Angles(headWidth, tokens) : null;
        FusedOperator.Equals(TwoSteps(rotation), AtOnce(rotation), Inputs(tokens, heads, keyValueHeads, headWidth), Tolerance);
    }

    [Fact]
    public void A_rotation_that_lengthens_too_equals_the_two_steps()
    {
        using var scope = NewDisposeScope();
        var turn = Angles(8, 50);
        var rotation = new Rotation(1.4 * turn.Cos, 1.4 * turn.Sin);
        FusedOperator.Equals(TwoSteps(rotation), AtOnce(rotation), Inputs(50, 4, 2, 8), Tolerance);
    }

    [Fact]
    public void Pieces_on_several_threads_equal_the_two_steps()
    {
        using var scope = NewDisposeScope();
        var threads = get_num_threads();
        set_num_threads(2);
        try
        {
            var rotation = Angles(8, 50);
            FusedOperator.Equals(TwoSteps(rotation), AtOnce(rotation), Inputs(50, 4, 2, 8), Tolerance);
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void Scores_far_apart_keep_their_weights()
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = [.. Inputs(50, 2, 2, 8).Select(input => 10 * input)];
        FusedOperator.Equals(TwoSteps(null), AtOnce(null), inputs, 1e-4);    // scores of hundreds have an error of 1e-5 themselves
    }

    [Fact]
    public void Inputs_and_gradients_may_lie_in_any_order()
    {
        using var scope = NewDisposeScope();
        var rotation = Angles(6, 11);
        Tensor[] inputs = [.. Inputs(11, 4, 2, 6).Select(input => input.transpose(1, 3).contiguous())];
        FusedOperator.Equals(Ordered(TwoSteps(rotation)), Ordered(AtOnce(rotation)), inputs, Tolerance);

        static Func<Tensor[], Tensor> Ordered(Func<Tensor[], Tensor> attend) =>
            inputs => attend([.. inputs.Select(input => input.transpose(1, 3))]).transpose(0, 2);
    }

    [Fact]
    public void Nothing_is_kept_of_a_pass() =>
        FusedOperator.Keeps_nothing(AtOnce(null), [randn(2, 64, 8, 128), randn(2, 64, 8, 128), randn(2, 64, 8, 128)]);

    [Fact]
    public void A_rotation_of_fewer_positions_is_refused()
    {
        using var scope = NewDisposeScope();
        var inputs = Inputs(5, 2, 2, 8);
        Assert.Throws<ArgumentException>(() => AtOnce(Angles(8, 4))(inputs));
        Assert.Throws<ArgumentException>(() => AtOnce(Angles(6, 5))(inputs));
    }

    [Fact]
    public void A_layer_without_a_cache_keeps_to_the_mask_of_its_pass()
    {
        using var scope = NewDisposeScope();
        using var layer = new SoftmaxAttention(new() { Heads = 2 }, 8);
        var x = randn(1, 5, 8);
        var all = layer.call(x, new ForwardContext { Causal = false }, null);
        var masked = layer.call(x, new ForwardContext { Causal = false, Mask = SoftmaxAttention.CausalMask(5, CPU) }, null);
        Near.Equal(layer.call(x, new ForwardContext(), null), masked, 1e-6);
        Assert.True(Near.Distance(all[0, 0], masked[0, 0]) > 1e-3);
    }

    private static Func<Tensor[], Tensor> AtOnce(Rotation? rotation) =>
        qkv => CausalAttention.Apply(qkv[0], qkv[1], qkv[2], rotation, Scale);

    private static Func<Tensor[], Tensor> TwoSteps(Rotation? rotation) => qkv =>
    {
        var (q, k, v) = (qkv[0].transpose(1, 2), qkv[1].transpose(1, 2), qkv[2].transpose(1, 2));    // [B, H, T, D], 2 x [B, G, T, D]
        if (rotation is not null) (q, k) = (rotation.Apply(q), rotation.Apply(k));
        return SoftmaxAttention.Explicit(q, k, v, Scale, SoftmaxAttention.CausalMask(q.shape[2], CPU)).transpose(1, 2);
    };

    private static Tensor[] Inputs(int tokens, int heads, int keyValueHeads, int headWidth) =>
        [randn(2, tokens, heads, headWidth), randn(2, tokens, keyValueHeads, headWidth), randn(2, tokens, keyValueHeads, headWidth)];

    private static Rotation Angles(int headWidth, int tokens)
    {
        var angles = rand(tokens, headWidth / 2) * 2 * Math.PI;    // arbitrary angles that differ from their neighbours'
        return new(angles.cos(), angles.sin());
    }
}
