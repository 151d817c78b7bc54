using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · G key/value heads · D head width

public sealed class WindowedAttentionTests
{
    private const double Tolerance = 5e-6;

    public WindowedAttentionTests() => manual_seed(1);

    // Around the kernel's blocks of 48 rows and the blocked form's of 128; odd, even, as long as the sequence and longer.
    public static TheoryData<int, int, int, int, int> Shapes => new()
    {
        { 5, 2, 2, 2, 8 }, { 49, 3, 4, 2, 20 }, { 96, 8, 2, 2, 8 }, { 97, 48, 3, 1, 18 }, { 97, 49, 2, 2, 8 },
        { 130, 17, 4, 2, 34 }, { 130, 130, 2, 1, 8 }, { 130, 500, 2, 1, 8 }, { 257, 7, 2, 2, 8 }, { 300, 129, 2, 1, 8 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_sliding_window_in_the_kernel_equals_the_masked_formula(int tokens, int size, int heads, int keyValueHeads, int headWidth)
    {
        using var scope = NewDisposeScope();
        var window = Sliding(tokens, size);
        var rotation = WindowCases.Angles(headWidth, tokens);
        FusedOperator.Equals(
            qkv => WindowCases.Explicit(qkv[0], qkv[1], qkv[2], window, rotation),
            qkv => CausalAttention.Apply(qkv[0], qkv[1], qkv[2], rotation, WindowCases.Scale, window),
            WindowCases.Inputs(tokens, heads, keyValueHeads, headWidth), Tolerance);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Spans_in_the_kernel_equal_the_soft_mask_in_values_and_in_the_gradients_of_q_k_v_and_z(
        int tokens, int size, int heads, int keyValueHeads, int headWidth)
    {
        using var scope = NewDisposeScope();
        var rotation = WindowCases.Angles(headWidth, tokens);
        FusedOperator.Equals(
            qkvz => WindowCases.Explicit(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3], 5), rotation),
            qkvz => CausalAttention.Apply(qkvz[0], qkvz[1], qkvz[2], rotation, WindowCases.Scale, new Window(qkvz[3], 5)),
            [.. WindowCases.Inputs(tokens, heads, keyValueHeads, headWidth), WindowCases.Spans(heads, tokens, size)], 2 * Tolerance);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_blocked_form_equals_the_formula_in_values_and_gradients(
        int tokens, int size, int heads, int keyValueHeads, int headWidth)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = [.. WindowCases.Inputs(tokens, heads, keyValueHeads, headWidth), WindowCases.Spans(heads, tokens, size)];
        FusedOperator.Equals(
            qkvz => WindowCases.Explicit(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3], 5)),
            qkvz => Blocked(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3], 5)), inputs, 2 * Tolerance);
        FusedOperator.Equals(
            qkv => WindowCases.Explicit(qkv[0], qkv[1], qkv[2], Sliding(tokens, size)),
            qkv => Blocked(qkv[0], qkv[1], qkv[2], Sliding(tokens, size)), inputs[..3], 2 * Tolerance);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 5)]
    [InlineData(50, 1)]
    [InlineData(140, 1)]
    public void A_token_that_sees_itself_alone_takes_its_own_value(int tokens, int size)
    {
        using var scope = NewDisposeScope();
        var v = randn(2, tokens, 2, 8);
        foreach (var attend in (Func<Tensor[], Tensor>[])
            [qkv => CausalAttention.Apply(qkv[0], qkv[1], qkv[2], null, WindowCases.Scale, Sliding(tokens, size)), qkv => Blocked(
                qkv[0], qkv[1], qkv[2], Sliding(tokens, size))])
        {
            Tensor[] qkv = [.. new[] { randn_like(v), randn_like(v), v }.Select(input => input.detach().clone().requires_grad_(true))];
            var z = attend(qkv);
            (z * v).sum().backward();
            Near.Equal(v, z, 1e-6);
            Near.Equal(v, qkv[2].grad!, 1e-6, "gradient of v");
            Near.Equal(zeros_like(v), qkv[0].grad!, 1e-5, "gradient of q");
            Near.Equal(zeros_like(v), qkv[1].grad!, 1e-5, "gradient of k");
        }
    }

    [Fact]
    public void A_span_a_head_gets_the_sum_of_its_queries_gradients()
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(
            qkvz => WindowCases.Explicit(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3].view(1, 4, 1).expand(1, 4, 70), 9)),
            qkvz => CausalAttention.Apply(
                qkvz[0], qkvz[1], qkvz[2], null, WindowCases.Scale, new Window(qkvz[3].view(1, 4, 1).expand(1, 4, 70), 9)),
            [.. WindowCases.Inputs(70, 4, 2, 8), tensor([0.3f, 5.2f, 20.7f, 66f])], 2 * Tolerance);
    }

    [Fact]
    public void Spans_whose_keys_lie_on_the_bounds_of_the_mask_pass_the_gradient_as_clamp_does()
    {
        using var scope = NewDisposeScope();
        var spans = tensor([0f, 4f, 8f, 100f]).view(1, 4, 1).expand(2, 4, 60).contiguous();    // whole numbers: keys at x = z and x = z + R
        FusedOperator.Equals(
            qkvz => WindowCases.Explicit(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3], 4)),
            qkvz => CausalAttention.Apply(qkvz[0], qkvz[1], qkvz[2], null, WindowCases.Scale, new Window(qkvz[3], 4)),
            [.. WindowCases.Inputs(60, 4, 4, 8), spans], 2 * Tolerance);
    }

    [Fact]
    public void Where_the_mask_leaves_almost_nothing_the_kernel_keeps_to_the_formula()
    {
        using var scope = NewDisposeScope();
        // scores of hundreds
        Tensor[] inputs = [.. WindowCases.Inputs(60, 2, 2, 8).Select(input => 10 * input), WindowCases.Spans(2, 60, 8)];
        FusedOperator.Equals(
            qkvz => WindowCases.Explicit(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3], 5)),
            qkvz => CausalAttention.Apply(qkvz[0], qkvz[1], qkvz[2], null, WindowCases.Scale, new Window(qkvz[3], 5)), inputs, 5e-4);
    }

    [Fact]
    public void A_span_that_left_its_bounds_leaves_each_token_itself()
    {
        using var scope = NewDisposeScope();
        var qkv = WindowCases.Inputs(50, 2, 2, 8);
        Near.Equal(
            qkv[2], CausalAttention.Apply(qkv[0], qkv[1], qkv[2], null, WindowCases.Scale, new Window(full([1, 1, 50], -3f), 0)), 1e-6);
    }

    [Fact]
    public void Pieces_on_several_threads_equal_the_formula()
    {
        using var scope = NewDisposeScope();
        var threads = get_num_threads();
        set_num_threads(2);
        try
        {
            FusedOperator.Equals(
                qkvz => WindowCases.Explicit(qkvz[0], qkvz[1], qkvz[2], new Window(qkvz[3], 5)),
                qkvz => CausalAttention.Apply(qkvz[0], qkvz[1], qkvz[2], null, WindowCases.Scale, new Window(qkvz[3], 5)),
                [.. WindowCases.Inputs(110, 4, 2, 8), WindowCases.Spans(4, 110, 30)], 2 * Tolerance);
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void Nothing_is_kept_of_a_pass() => FusedOperator.Keeps_nothing(
        qkvz => CausalAttention.Apply(qkvz[0], qkvz[1], qkvz[2], null, WindowCases.Scale, new Window(qkvz[3], 5)),
        [randn(2, 64, 8, 128), randn(2, 64, 8, 128), randn(2, 64, 8, 128), WindowCases.Spans(8, 64, 20)]);

    private static Window Sliding(int tokens, int size) => new(full([1, 1, tokens], size - 1f), 0);

    private static Tensor Blocked(Tensor q, Tensor k, Tensor v, Window window)
    {
        var positions = arange(q.shape[1]);
        return WindowedAttention.Apply(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), window, positions, positions, WindowCases.Scale, null, 0,
            null, SoftmaxKernel.Fused).transpose(1, 2);
    }
}
