using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Model.Hierarchy;
using Transformer.Tests.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Hierarchy;

// B batch · T tokens · S groups · s tokens of a group · C width

/// <summary>What is exact of hourglasses, whatever their parts.</summary>
public sealed class HierarchyInvariantTests
{
    private const int Width = 16, Tokens = 11;

    private static readonly Dictionary<string, PoolingConfig> Poolings = new()
    {
        ["average"] = new AveragePoolingConfig(),
        ["linear"] = new LinearPoolingConfig(),
        ["attention"] = new AttentionPoolingConfig { Heads = 2, Bias = true, Initial = new LinearPoolingConfig() },
    };

    private static readonly Dictionary<string, UpsamplingConfig> Upsamplings = new()
    {
        ["repeat"] = new RepeatUpsamplingConfig(),
        ["linear"] = new LinearUpsamplingConfig(),
        ["attention"] = new AttentionUpsamplingConfig { Heads = 4, Initial = new LinearUpsamplingConfig() },
    };

    private static readonly Dictionary<string, BoundaryConfig> Boundaries = new()
    {
        ["white_space"] = new WhiteSpaceBoundariesConfig { Tokens = [1, 4, 5, 11] },
        ["learned"] = new LearnedBoundariesConfig { Hidden = 24 },
        ["entropy"] = new EntropyBoundariesConfig { Hidden = 24 },
    };

    public HierarchyInvariantTests() => manual_seed(1);

    public static TheoryData<string, string, int, bool> OfEqualGroups => new(
        from pooling in Poolings.Keys
        from upsampling in Upsamplings.Keys
        from shorten in (int[])[1, 2, 3, 5]
        from isNested in (bool[])[false, true]
        select (pooling, upsampling, shorten, isNested));

    public static TheoryData<string, bool> AtBoundaries => new(
        from kind in Boundaries.Keys from isNested in (bool[])[false, true] select (kind, isNested));

    [Theory, MemberData(nameof(OfEqualGroups))]
    public void Whatever_follows_a_token_leaves_it_and_those_before_it_unchanged(
        string pooling, string upsampling, int shorten, bool isNested) =>
        ReadsWhatIsBefore(Equal(pooling, upsampling, shorten, isNested), tolerance: 0);

    // Groups of other lengths are other shapes, which round differently.
    [Theory, MemberData(nameof(AtBoundaries))]
    public void Whatever_follows_a_token_leaves_it_and_those_before_it_unchanged_at_boundaries(string kind, bool isNested) =>
        ReadsWhatIsBefore(AtBoundariesOf(kind, isNested), tolerance: 1e-5);

    private static void ReadsWhatIsBefore(ModelConfig config, double tolerance)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Draw(config);
        var (ids, others) = (Tiny.Ids(2, Tokens), Tiny.Ids(2, Tokens));
        var logits = model.call(ids, null);
        for (var t = 1; t < Tokens; t++)
        {
            var changed = cat([ids.narrow(1, 0, t), others.narrow(1, t, Tokens - t)], 1);
            Near.Equal(logits.narrow(1, 0, t), model.call(changed, null).narrow(1, 0, t), tolerance, $"logits before token {t}");
        }
        var first = ids.clone();
        first[.., 0] = (first[.., 0] + 1) % 13;
        Assert.True((model.call(first, null) - logits).abs().amax(-1).min().item<float>() > 1e-4, "some token does not read the first");
    }

    [Theory, MemberData(nameof(OfEqualGroups))]
    public void A_text_of_any_length_has_the_logits_of_a_longer_one(string pooling, string upsampling, int shorten, bool isNested) =>
        LengthsDoNotMatter(Equal(pooling, upsampling, shorten, isNested), 2 * shorten + 1);

    [Theory, MemberData(nameof(AtBoundaries))]
    public void A_text_of_any_length_has_the_logits_of_a_longer_one_at_boundaries(string kind, bool isNested) =>
        LengthsDoNotMatter(AtBoundariesOf(kind, isNested), Tokens);

    private static void LengthsDoNotMatter(ModelConfig config, int longest)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Draw(config);
        var ids = Tiny.Ids(2, longest);
        var logits = model.call(ids, null);
        for (var tokens = 1; tokens < longest; tokens++)
            Near.Equal(logits.narrow(1, 0, tokens), model.call(ids.narrow(1, 0, tokens), null), 3e-5, $"{tokens} tokens");
    }

    // A shift of s would lose the token at which a group ends, one of 0 would let a token read later ones.
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void A_token_reads_itself_and_all_tokens_up_to_the_end_of_the_last_group_that_is_complete(int shorten)
    {
        using var scope = NewDisposeScope();
        using var hourglass = EqualGroups(shorten);
        var expected = Pairs((t, other) => other == t || other <= t / shorten * shorten);
        Assert.Equal(expected, Read(x => hourglass.call(x, Context(x))));
        Assert.Equal(expected, Read(x => Plain(hourglass, x, shorten, shift: shorten - 1)));

        var shiftedMore = Read(x => Plain(hourglass, x, shorten, shift: shorten));
        Assert.Contains((shorten + 1, shorten), expected.Except(shiftedMore));
        Assert.Empty(shiftedMore.Except(expected));
        var unshifted = Read(x => Plain(hourglass, x, shorten, shift: 0));
        Assert.Contains((0, 1), unshifted.Except(expected));
    }

    // Group j of s tokens ends with token s j.
    [Theory]
    [InlineData(2, 2)]
    [InlineData(3, 2)]
    [InlineData(2, 3)]
    [InlineData(1, 3)]
    public void In_groups_of_groups_a_group_reads_itself_and_all_up_to_the_end_of_the_last_group_of_groups(int shorten, int inner)
    {
        using var scope = NewDisposeScope();
        using var hourglass = (Hourglass)Node(Tiny.Config with
        {
            Layers = [new HourglassConfig { Shorten = shorten, Layers = [new HourglassConfig { Shorten = inner, Layers = 1 }] }],
            Position = new NoPositionConfig(),
        });
        var expected = Pairs((t, other) =>
        {
            var (received, group) = (t / shorten, (other + shorten - 1) / shorten);
            return other == t || group == received || group <= received / inner * inner;
        });
        Assert.Equal(expected, Read(x => hourglass.call(x, Context(x))));
    }

    [Fact]
    public void At_boundaries_a_token_reads_itself_and_all_tokens_up_to_the_last_boundary_its_own_included()
    {
        using var scope = NewDisposeScope();
        using var pooling = AtWhiteSpace();
        int[] ends = [2, 3, 7];
        var found = zeros(1, Tokens);
        foreach (var end in ends) found[0, end] = 1;
        var expected = Pairs((t, other) => other == t || ends.Any(end => other <= end && end <= t));
        Assert.Equal(expected, Read(x => pooling.Whole(x, found, Context(x))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Values_are_those_of_groups_cut_one_by_one(int shorten)
    {
        using var _ = no_grad();
        using var hourglass = EqualGroups(shorten);
        for (var tokens = 1; tokens <= 2 * shorten + 1; tokens++)
        {
            using var scope = NewDisposeScope();
            var x = randn(2, tokens, Width);
            Near.Equal(Plain(hourglass, x, shorten, shorten - 1), hourglass.call(x, Context(x)), 3e-5, $"{tokens} tokens");
        }
        var longer = randn(2, 2 * shorten + 1, Width);
        var y = hourglass.call(longer, Context(longer));
        Assert.True(Near.Distance(y, Plain(hourglass, longer, shorten, shorten)) > 1e-2);
        if (shorten > 1) Assert.True(Near.Distance(y, Plain(hourglass, longer, shorten, 0)) > 1e-2);
    }

    [Fact]
    public void Groups_of_one_token_are_the_plain_stack_with_one_more_skip()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var config = Tiny.Config with { Layers = 4, Position = new NoPositionConfig() };
        var plain = Stack.Of(config, config.Nodes());
        config = config with { Layers = [1, new HourglassConfig { Shorten = 1, Layers = 2 }, 1] };
        var nested = Stack.Of(config, config.Nodes());
        foreach (var (from, to) in nested.Blocks.Zip(plain.Blocks)) Tiny.CopyWeights(from, to);
        var x = randn(2, Tokens, Width);
        var context = Context(x);
        var before = plain.Blocks[0].call(x, context);
        var inner = plain.Blocks[2].call(plain.Blocks[1].call(before, context), context);
        Near.Equal(plain.Blocks[3].call(before + inner, context), nested.call(x, context), 1e-5);
    }

    [Fact]
    public void In_a_text_shorter_than_a_group_all_receive_the_group_of_the_first_token()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var hourglass = EqualGroups(100);
        var x = randn(2, 7, Width);
        var first = x.narrow(1, 0, 1) / 100;
        Near.Equal(x + hourglass.Layers.call(first, Context(first)), hourglass.call(x, Context(x)), 1e-5);
    }

    [Fact]
    public void Without_a_boundary_all_receive_what_becomes_of_the_null_group()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var pooling = AtWhiteSpace();
        var (x, first) = (randn(2, 7, Width), pooling.Weight("null_group").view(1, 1, Width));
        Near.Equal(x + Inner(pooling, first), pooling.Whole(x, zeros(2, 7), Context(x)), 1e-5);
    }

    [Fact]
    public void With_a_boundary_at_every_token_each_receives_what_becomes_of_it_behind_the_null_group()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var pooling = AtWhiteSpace();
        var (x, first) = (randn(2, 7, Width), pooling.Weight("null_group").view(1, 1, Width));
        var rows = Inner(pooling, cat([first.expand(2, 1, Width), x], 1));
        Near.Equal(x + rows.narrow(1, 1, 7), pooling.Whole(x, ones(2, 7), Context(x)), 1e-5);
    }

    [Theory, MemberData(nameof(AtBoundaries))]
    public void Rows_with_unequal_numbers_of_boundaries_are_as_each_alone(string kind, bool isNested)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Draw(AtBoundariesOf(kind, isNested));
        var ids = Tiny.Ids(5, Tokens);
        ids[0].fill_(2);    // no white space
        ids[1].fill_(1);    // nothing else
        var logits = model.call(ids, null);
        for (var row = 0; row < 5; row++)
            Near.Equal(logits[row], model.call(ids.narrow(0, row, 1), null)[0], 1e-5, $"row {row}");
    }

    [Fact]
    public void Drawn_boundaries_of_a_row_depend_on_no_other_row_s()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var pooling = AtWhiteSpace();
        var (x, ends) = (randn(4, 9, Width), (rand(4, 9) < 0.4).to(float32));
        var together = pooling.Whole(x, ends, Context(x));
        for (var row = 0; row < 4; row++)
        {
            var (own, its) = (x.narrow(0, row, 1), ends.narrow(0, row, 1));
            Near.Equal(together.narrow(0, row, 1), pooling.Whole(own, its, Context(own)), 1e-5, $"row {row}");
        }
    }

    [Theory]
    [InlineData("adaptive")]
    [InlineData("dynamic")]
    public void The_span_of_a_token_is_that_of_the_group_that_it_receives(string window)
    {
        using var scope = NewDisposeScope();
        using var model = Windowed(window, new HourglassConfig { Shorten = 3, Layers = 1 });
        SpansAreOfGroups(model, Tiny.Ids(1, Tokens), t => t / 3, window == "dynamic");
    }

    [Fact]
    public void The_span_of_a_token_is_that_of_the_group_that_it_receives_at_boundaries()
    {
        using var scope = NewDisposeScope();
        using var model = Windowed("dynamic", new HourglassConfig { Boundaries = Boundaries["white_space"], Layers = 1 });
        var ids = tensor((long[])[2, 3, 1, 2, 4, 5, 2, 3, 6, 11, 7], [1, Tokens]);
        int[] ends = [2, 4, 5, 9];
        SpansAreOfGroups(model, ids, t => ends.Count(end => end <= t), differ: true);
    }

    private static void SpansAreOfGroups(TransformerModel model, Tensor ids, Func<int, int> groupOf, bool differ)
    {
        // The blocks are one outside, one inside and one outside.
        float[][] ofTokens = [.. Enumerable.Range(0, Tokens).Select(t => model.MeanSpans(ids, [t])![1].ToArray())];
        Assert.All(ofTokens, spans => Assert.All(spans, span => Assert.InRange(span, 0, 8)));    // a maximum of 6 and a ramp of 2
        foreach (var group in Enumerable.Range(0, Tokens).GroupBy(groupOf))
            Assert.All(group, t => Assert.Equal(ofTokens[group.First()], ofTokens[t]));
        var groups = Enumerable.Range(0, Tokens).Select(groupOf).Distinct().Count();
        Assert.Equal(differ ? groups : 1, ofTokens.Select(spans => spans[0]).Distinct().Count());
        var mean = model.MeanSpans(ids)![1];
        for (var head = 0; head < mean.Count; head++) Near.Equal(ofTokens.Average(spans => spans[head]), mean[head], 1e-5, $"head {head}");
    }

    private static TransformerModel Windowed(string window, HourglassConfig hourglass)
    {
        var model = new TransformerModel(Tiny.Config with
        {
            Layers = [1, hourglass, 1],
            Attention = new SoftmaxAttentionConfig { Heads = 4, Window = Tiny.Windows[window] },
        });
        WindowCases.Spread(model);
        return model;
    }

    // Groups of s vectors of the stream, zeros before it, cut one by one; group j is received from token s j on.
    private static Tensor Plain(Hourglass hourglass, Tensor x, int shorten, int shift)
    {
        var (B, T) = (x.shape[0], (int)x.shape[1]);
        var groups = new List<Tensor>();
        for (var end = shorten - shift; groups.Count * shorten < T; end += shorten)
        {
            var tokens = Enumerable.Range(end - shorten, shorten)
                .Select(t => t >= 0 && t < T ? x.select(1, t) : zeros(B, Width)).ToArray();
            groups.Add(tokens.Aggregate((sum, token) => sum + token) / shorten);
        }
        var pooled = stack(groups, 1);
        var rows = hourglass.Layers.call(pooled, Context(pooled));
        return x + stack([.. Enumerable.Range(0, T).Select(t => rows.select(1, t / shorten))], 1);
    }

    private static IReadOnlyList<(int Token, int Other)> Pairs(Func<int, int, bool> reads) =>
    [
        .. from t in Enumerable.Range(0, Tokens) from other in Enumerable.Range(0, Tokens) where reads(t, other) select (t, other),
    ];

    // Which tokens read which, by the gradient.
    private static IReadOnlyList<(int Token, int Other)> Read(Func<Tensor, Tensor> function)
    {
        var (x, weights) = (randn(1, Tokens, Width), randn(Width));
        var sizes = new List<float[]>();
        for (var t = 0; t < Tokens; t++)
        {
            var leaf = x.clone().requires_grad_();
            (function(leaf).select(1, t) * weights).sum().backward();
            sizes.Add(leaf.grad![0].abs().sum(-1).data<float>().ToArray());
        }
        return Pairs((t, other) => sizes[t][other] != 0);
    }

    private static ForwardContext Context(Tensor x) =>
        ForwardContext.For((int)x.shape[0], (int)x.shape[1], null, null, rotary: null, contextLength: 12, CPU);

    private static Tensor Inner(DynamicPooling pooling, Tensor groups)
    {
        var norm = (nn.Module<Tensor, Tensor>)pooling.named_children().Single(child => child.name == "norm").module;
        return pooling.Layers.call(norm.call(groups), Context(groups));
    }

    private static Hourglass EqualGroups(int shorten) =>
        (Hourglass)Node(Equal("average", "repeat", shorten, isNested: false) with { Position = new NoPositionConfig() });

    private static DynamicPooling AtWhiteSpace() =>
        (DynamicPooling)Node(AtBoundariesOf("white_space", isNested: false) with { Position = new NoPositionConfig() });

    private static ShortenedLayers Node(ModelConfig config)
    {
        using var _ = no_grad();
        var node = ShortenedLayers.FromConfig(config, config.Hourglasses().First());
        // Weights as they come from the layers' constructors leave little of a group's vector.
        foreach (var (name, parameter) in node.named_parameters())
            if (name.EndsWith("proj.weight", StringComparison.Ordinal)) parameter.normal_(0, 0.3);
        return node;
    }

    private static HourglassConfig OfTwo => new() { Shorten = 2, Layers = 1 };

    private static ModelConfig Equal(string pooling, string upsampling, int shorten, bool isNested) => With(new()
    {
        Shorten = shorten,
        Layers = isNested ? [1, OfTwo, 1] : 1,
        Pooling = Poolings[pooling],
        Upsampling = Upsamplings[upsampling],
    });

    // White space and entropy tell no boundaries of groups.
    private static ModelConfig AtBoundariesOf(string kind, bool isNested) => With(new()
    {
        Boundaries = Boundaries[kind],
        Layers = isNested
            ? [1, kind == "learned" ? new HourglassConfig { Boundaries = Boundaries[kind], Layers = 1 } : OfTwo]
            : 1,
    });

    private static ModelConfig With(HourglassConfig hourglass) => Tiny.Config with { Layers = [1, hourglass, 1] };

    private static TransformerModel Draw(ModelConfig config)
    {
        Assert.Empty(config.Problems());
        return new TransformerModel(config);
    }
}
