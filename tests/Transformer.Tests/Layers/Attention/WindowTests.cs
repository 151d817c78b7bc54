using TorchSharp;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · D head width · W window · R ramp

public sealed class WindowTests
{
    private const int T = 23;

    public WindowTests() => manual_seed(1);

    public static TheoryData<string> Windows => [.. Tiny.Windows.Keys];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(23)]
    [InlineData(24)]
    public void A_query_sees_exactly_the_last_W_keys_its_own_included(int size)
    {
        using var scope = NewDisposeScope();
        var sees = Seen(new SlidingWindowConfig { Size = size });
        for (var i = 0; i < T; i++)
            for (var j = 0; j < T; j++)
                Assert.Equal(i - size < j && j <= i ? 1.0 / Math.Min(size, i + 1) : 0, sees[0, i, 0, j].item<float>(), 1e-6);
    }

    [Fact]
    public void A_length_scaled_window_sees_as_many_keys_as_its_formula_says()
    {
        using var scope = NewDisposeScope();
        var sees = Seen(new LengthScaledWindowConfig { Minimum = 3, Scale = 2, Exponent = 0.5 });
        // max(3, ceil(2 sqrt(t + 1))), at most t + 1
        int[] expected = [1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10];
        for (var i = 0; i < T; i++)
            for (var j = 0; j < T; j++)
                Assert.Equal(i - expected[i] < j && j <= i ? 1.0 / expected[i] : 0, sees[0, i, 0, j].item<float>(), 1e-6);
    }

    [Fact]
    public void The_configuration_counts_the_keys_that_the_length_scaled_layer_sees()
    {
        using var scope = NewDisposeScope();
        var config = new LengthScaledWindowConfig { Minimum = 5, Scale = 3, Exponent = 0.5 };
        using var module = new LengthScaledWindow(config);
        var spans = module.call(zeros(1, 3000, 1), new ForwardContext()).Spans.flatten().data<float>();
        for (var t = 0; t < 3000; t++) Assert.Equal(config.KeysAt(t), Math.Min(spans[t] + 1, t + 1));
    }

    [Fact]
    public void The_last_digit_of_a_power_makes_no_key_more()
    {
        var config = new LengthScaledWindowConfig { Minimum = 1, Scale = 4, Exponent = 0.5 };
        for (var root = 4; root < 2000; root++) Assert.Equal(4 * root, config.KeysAt((long)root * root - 1));
    }

    [Fact]
    public void Windows_as_long_as_the_text_are_full_attention()
    {
        using var scope = NewDisposeScope();
        var qkv = WindowCases.Inputs(T, 4, 2, 8);
        var full = CausalAttention.Apply(qkv[0], qkv[1], qkv[2], null, WindowCases.Scale);
        foreach (var window in (Window[])[Hard(T), Hard(T + 7), Soft(T - 1, 3), Soft(2 * T, 8)])
        {
            Near.Equal(full, WindowCases.Explicit(qkv[0], qkv[1], qkv[2], window), 1e-6, "the formula");
            Near.Equal(full, CausalAttention.Apply(qkv[0], qkv[1], qkv[2], null, WindowCases.Scale, window), 1e-6, "the kernel");
        }
        Assert.True(Near.Distance(full, WindowCases.Explicit(qkv[0], qkv[1], qkv[2], Hard(T - 1))) > 1e-3);
    }

    [Fact]
    public void The_soft_mask_is_one_up_to_z_and_zero_from_z_plus_R()
    {
        using var scope = NewDisposeScope();
        var mask = new Window(tensor([2.5f]).view(1, 1, 1), 4).SoftMask(arange(10).view(1, 1, 1, 10))!;
        Near.Equal(tensor([1, 1, 1, 0.875f, 0.625f, 0.375f, 0.125f, 0, 0, 0]), mask.flatten(), 0);
    }

    [Fact]
    public void The_soft_mask_changes_with_the_span_on_the_ramp_only()
    {
        using var scope = NewDisposeScope();
        for (var back = 0; back < 10; back++)
        {
            var span = tensor([2.5f]).view(1, 1, 1).requires_grad_(true);
            new Window(span, 4).SoftMask(full([1, 1, 1, 1], back))!.backward();
            Assert.Equal(back is > 2 and < 7 ? 0.25f : 0, span.grad!.item<float>());    // 1 / R
        }
    }

    [Fact]
    public void Dropping_keys_whose_mask_is_zero_changes_nothing()
    {
        using var scope = NewDisposeScope();
        var qkv = WindowCases.Inputs(T, 2, 2, 8);
        var window = Soft(3.5f, 4);    // reaches 7 tokens back, so the last query's 8 keys
        var all = WindowCases.Explicit(qkv[0], qkv[1], qkv[2], window);
        var few = WindowCases.Explicit(qkv[0][.., ^8..], qkv[1][.., ^8..], qkv[2][.., ^8..], window.Of(T - 8, 8));
        Near.Equal(all[.., -1], few[.., -1], 1e-6, "the formula");
        Assert.Equal(8, window.Keys());
        all = CausalAttention.Apply(qkv[0], qkv[1], qkv[2], null, WindowCases.Scale, window);
        Near.Equal(all[.., -1], few[.., -1], 1e-6, "the kernel");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Keys_past_the_ramp_get_no_gradient(bool kernel)
    {
        using var scope = NewDisposeScope();
        Tensor[] qkv = [.. WindowCases.Inputs(T, 2, 2, 8).Select(input => input.requires_grad_(true))];
        Attend(kernel, qkv, Soft(3.5f, 4))[.., -1].square().sum().backward();
        foreach (var gradient in (Tensor[])[qkv[1].grad!, qkv[2].grad!])
        {
            var sizes = gradient.abs().sum([0, 2, 3]).data<float>().ToArray();
            Assert.All(sizes[..^8], size => Assert.Equal(0, size));
            Assert.All(sizes[^8..], size => Assert.NotEqual(0, size));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_span_has_its_gradient_from_keys_on_the_ramp_only(bool kernel)
    {
        using var scope = NewDisposeScope();
        var qkv = WindowCases.Inputs(T, 1, 1, 8);
        qkv[2].zero_();    // only the value of the key in question counts
        for (var back = 0; back < 12; back++)
        {
            var spans = full([2, 1, T], 3.5f).requires_grad_(true);
            var v = qkv[2].clone();
            v[.., -1 - back] = 1;
            var change =
                grad(Attend(kernel, [qkv[0], qkv[1], v], new Window(spans, 4))[.., -1].sum(), spans)[.., .., -1].abs().max().item<float>();
            if (back > 7) Assert.Equal(0, change);    // past the ramp
            else Assert.True(change > 1e-5, $"{back} back: {change}");    // on it directly, before it by the sum of the weights
        }

        // Where no key is on the ramp the sum of the weights has no gradient either.
        var without = full([2, 1, T], T + 0.5f).requires_grad_(true);
        Assert.Equal(
            0, grad(Attend(kernel, WindowCases.Inputs(T, 1, 1, 8), new Window(without, 4)).sum(), without).abs().max().item<float>());

        static Tensor grad(Tensor y, Tensor x) => autograd.grad([y], [x])[0];
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void Every_layer_is_the_formula_with_its_window(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = Layer(new() { Heads = 4, KvHeads = 2, Window = Tiny.Windows[name] });
        var x = randn(2, T, 16);
        var expected = Formula(layer, x, Tiny.Windows[name], softCap: null);
        Near.Equal(expected, layer.call(x, new ForwardContext(), null), 1e-5, "the kernel");
        layer.to(float64);
        Near.Equal(
            Formula(layer, x.to(float64), Tiny.Windows[name], softCap: null), layer.call(x.to(float64), new ForwardContext(), null), 1e-6,
            "in double precision");
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void Sixteen_bits_are_enough_to_compute_with(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = Layer(new() { Heads = 4, KvHeads = 2, Window = Tiny.Windows[name] });
        var x = randn(2, T, 16);
        var expected = layer.call(x, new ForwardContext(), null);
        layer.to(bfloat16);
        Near.Equal(expected, layer.call(x.to(bfloat16), new ForwardContext(), null).to(float32), 0.03);
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void A_soft_cap_acts_inside_the_window(string name)
    {
        using var scope = NewDisposeScope();
        using var layer = Layer(new() { Heads = 4, KvHeads = 2, Window = Tiny.Windows[name], LogitSoftCap = 0.5 });
        var x = 4 * randn(2, T, 16);
        Near.Equal(Formula(layer, x, Tiny.Windows[name], softCap: 0.5), layer.call(x, new ForwardContext(), null), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void Dropout_drops_weights_inside_the_window_in_training_only(string name)
    {
        if (name == "sliding 1") return;    // one weight, dropped or not
        using var scope = NewDisposeScope();
        using var layer = Layer(new() { Heads = 4, KvHeads = 2, Window = Tiny.Windows[name], Dropout = 0.5 });
        var x = randn(2, T, 16);
        Assert.True(Near.Distance(layer.call(x, new ForwardContext(), null), layer.call(x, new ForwardContext(), null)) > 1e-3);
        layer.eval();
        Near.Equal(Formula(layer, x, Tiny.Windows[name], softCap: null), layer.call(x, new ForwardContext(), null), 1e-5);
    }

    private static SoftmaxAttention Layer(SoftmaxAttentionConfig config)
    {
        var layer = new SoftmaxAttention(config, width: 16);
        WindowCases.Spread(layer);
        return layer;
    }

    // The layer written out with T x T scores.
    private static Tensor Formula(SoftmaxAttention layer, Tensor x, WindowConfig config, double? softCap)
    {
        var (q, k, v) = (Heads("q_proj", 4), Heads("k_proj", 2), Heads("v_proj", 2));
        using var module = AttentionWindow.FromConfig(config, heads: 4, width: 16)!;
        module.to(x.dtype);
        foreach (var (name, value) in module.named_parameters())
            using (no_grad()) value.copy_(layer.Weight($"window.{name}"));
        var window = module.call(x, new ForwardContext());
        var distance = WindowCases.Distance(T);
        var z = SoftmaxAttention.Explicit(q, k, v, 0.5, window.Reaches(distance), softCap, softMask: window.SoftMask(distance));
        return matmul(z.transpose(1, 2).flatten(2), layer.Weight("o_proj.weight").t());

        Tensor Heads(string projection, long heads) =>
            matmul(x, layer.Weight($"{projection}.weight").t()).unflatten(2, [heads, 4]).transpose(1, 2);
    }

    // The weight of each key for each query, all scores being equal: [1, T, 1, T].
    private static Tensor Seen(WindowConfig config)
    {
        using var module = AttentionWindow.FromConfig(config, heads: 1, width: 1)!;
        var window = module.call(zeros(1, T, 1), new ForwardContext());
        return CausalAttention.Apply(zeros(1, T, 1, T), zeros(1, T, 1, T), eye(T).view(1, T, 1, T), null, WindowCases.Scale, window);
    }

    private static Tensor Attend(bool kernel, Tensor[] qkv, Window window) => kernel
        ? CausalAttention.Apply(qkv[0], qkv[1], qkv[2], null, WindowCases.Scale, window)
        : WindowCases.Explicit(qkv[0], qkv[1], qkv[2], window);

    private static Window Hard(int size) => new(full([1, 1, T], size - 1f), 0);

    private static Window Soft(float span, int ramp) => new(full([1, 1, T], span), ramp);
}
