using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · C width · H heads

public sealed class RollingKeyValueCacheTests
{
    private const int T = 11;

    public RollingKeyValueCacheTests() => manual_seed(1);

    public static TheoryData<string> Windows => [.. Tiny.Windows.Keys];

    [Theory]
    [MemberData(nameof(Windows))]
    public void Every_split_of_a_text_gives_what_the_masked_full_pass_gives(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var layer = Layer(Tiny.Windows[name]);
        var x = randn(2, T, 16);
        var full = layer.call(x, new ForwardContext(), null);
        for (var first = 1; first <= T; first++)
            for (var second = 0; second <= T - first; second++)
            {
                using var state = layer.NewState(rows: 2, T, CPU);
                var at = 0;
                var parts = new List<Tensor>();
                foreach (var count in (int[])[first, second, .. Enumerable.Repeat(1, T - first - second)])
                {
                    if (count > 0) parts.Add(Continue(layer, x.narrow(1, at, count), state, [at, at]));
                    at += count;
                }
                Near.Equal(full, cat(parts, 1), 1e-5, $"{first} + {second} + single tokens");
            }
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void Rows_of_unequal_length_go_on_as_if_each_were_alone(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var layer = Layer(Tiny.Windows[name]);
        var x = randn(3, T, 16);
        var full = layer.call(x, new ForwardContext(), null);
        using var state = layer.NewState(rows: 3, T, CPU);
        var lengths = new int[3];
        foreach (var counts in (int[][])[[5, 1, 3], [1, 1, 1], [2, 0, 4], [1, 0, 1], [2, 7, 1], [0, 1, 1]])
        {
            var most = counts.Max();
            var parts = zeros(3, most, 16) + 100;    // padding that would be visible
            for (var row = 0; row < 3; row++) parts[row].narrow(0, 0, counts[row]).copy_(x[row].narrow(0, lengths[row], counts[row]));
            var z = Continue(layer, parts, state, lengths, counts);
            for (var row = 0; row < 3; row++)
            {
                if (counts[row] == 0) continue;
                Near.Equal(
                    full[row].narrow(0, lengths[row], counts[row]), z[row].narrow(0, 0, counts[row]), 1e-5,
                    $"row {row} from {lengths[row]}");
                lengths[row] += counts[row];
            }
        }
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void A_long_prompt_in_blocks_behind_a_cache_equals_the_full_pass(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var layer = Layer(Tiny.Windows[name]);
        var x = randn(2, 400, 16);
        using var state = layer.NewState(rows: 2, 400, CPU);
        var parts = (Tensor[])[
            Continue(layer, x.narrow(1, 0, 150), state, [0, 0]), Continue(layer, x.narrow(1, 150, 250), state, [150, 150])];
        Near.Equal(layer.call(x, new ForwardContext(), null), cat(parts, 1), 2e-5);
    }

    [Fact]
    public void A_position_bias_acts_inside_the_window_with_a_cache_and_without()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        foreach (var config in Tiny.Windows.Values)
        {
            using var layer = Layer(config);
            using var bias = new Slope();
            var x = randn(2, T, 16);
            var full = layer.call(x, new ForwardContext { Bias = bias }, null);
            using var state = layer.NewState(rows: 2, T, CPU);
            var parts = new List<Tensor>();
            for (var at = 0; at < T; at++) parts.Add(Continue(layer, x.narrow(1, at, 1), state, [at, at], bias: bias));
            Near.Equal(full, cat(parts, 1), 1e-5);
            if (config is not SlidingWindowConfig { Size: 1 })
                Assert.True(Near.Distance(full, layer.call(x, new ForwardContext(), null)) > 1e-3);
        }
    }

    [Theory]
    [InlineData("sliding 3", 3)]
    [InlineData("sliding 100", 100)]
    [InlineData("length_scaled", 252)]    // ceil(10000^0.6)
    [InlineData("adaptive", 8)]           // floor(0.95 * 6 + 2) and the token itself
    [InlineData("dynamic", 9)]            // 6 + 2 and the token itself
    public void The_state_is_as_large_as_the_window_however_long_the_text(string name, int keys)
    {
        using var layer = Layer(Tiny.Windows[name]);
        using var state = layer.NewState(rows: 3, 10_000, CPU);
        Assert.Equal(2 * 3 * 2 * 4 * keys * sizeof(float), state.Bytes);
        using var small = layer.NewState(rows: 3, 2, CPU);
        Assert.Equal(2 * 3 * 2 * 4 * 2 * sizeof(float), small.Bytes);
    }

    private static SoftmaxAttention Layer(WindowConfig window)
    {
        var layer = new SoftmaxAttention(new() { Heads = 4, KvHeads = 2, Window = window }, width: 16);
        WindowCases.Spread(layer);
        return layer;
    }

    private static Tensor Continue(
        SoftmaxAttention layer, Tensor x, LayerState state, IReadOnlyList<int> lengths, IReadOnlyList<int>? counts = null,
        ScoreBias? bias = null)
    {
        var positions = tensor(lengths.Select(length => (long)length).ToArray()).unsqueeze(1) + arange(x.shape[1]);
        var context =
            new ForwardContext { Causal = false, Positions = positions, CachedLengths = lengths, NewTokens = counts ?? [], Bias = bias };
        return layer.call(x, context, state);
    }

    // One slope per head over the distance.
    private sealed class Slope() : ScoreBias(nameof(Slope))
    {
        public override Tensor forward(Tensor q, Tensor queries, Tensor keys)
        {
            var distance = queries.unsqueeze(-1) - keys.unsqueeze(-2);                          // [T, S] or [B, T, S]
            return (distance.dim() == 2 ? distance.unsqueeze(0) : distance).unsqueeze(1) * tensor([-0.5f, 0.3f, 0.1f, 1f]).view(1, 4, 1, 1);
        }
    }
}
