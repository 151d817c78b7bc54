using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

public sealed class StackTests
{
    private const int Width = 16, Tokens = 5;

    public StackTests() => manual_seed(1);

    // White space is told by ids.
    public static TheoryData<string> Models => [.. Tiny.Whole.Where(name => !name.StartsWith("white space", StringComparison.Ordinal))];

    [Fact]
    public void The_parts_of_a_block_have_the_names_of_checkpoints_in_the_order_of_the_stream()
    {
        using var model = new TransformerModel(Tiny.Config with { Layers = 1, Residual = new SandwichResidualConfig() });
        var names = model.named_parameters().Select(parameter => parameter.name.Split('.'));
        var parts = names.Where(name => name[1] == "layers").Select(name => name[3]);
        string[] expected =
        [
            "input_layernorm", "self_attn", "post_attention_layernorm", "pre_feedforward_layernorm", "mlp", "post_feedforward_layernorm",
        ];
        Assert.Equal(expected, parts.Distinct());
    }

    [Fact]
    public void The_numbers_of_residuals_follow_behind_all_sublayers()
    {
        using var model = new TransformerModel(Tiny.Config with { Layers = 1, Residual = new ReZeroResidualConfig() });
        var names = model.named_parameters().Select(parameter => parameter.name).ToList();
        Assert.Equal(["model.layers.0.self_attn_residual.alpha", "model.layers.0.mlp_residual.alpha"], names[^2..]);
    }

    [Fact]
    public void A_third_sublayer_is_one_more_entry_of_the_list()
    {
        using var scope = NewDisposeScope();
        var (first, second) = (Mixer(), Mixer());
        var mlp = Mlp.FromConfig(Tiny.Config.Mlp, Width);
        var block = new Block(
            [
                new Sublayer(Tiny.Config, new("self_attn", 0, "input_layernorm", null), first),
                new Sublayer(Tiny.Config, new("cross_attn", 1, "cross_attention_layernorm", null), second),
                new Sublayer(Tiny.Config, new("mlp", 2, "post_attention_layernorm", null), mlp),
            ],
            depth: 0);
        string[] parts = ["input_layernorm", "self_attn", "cross_attention_layernorm", "cross_attn", "post_attention_layernorm", "mlp"];
        Assert.Equal(parts, block.named_parameters().Select(parameter => parameter.name.Split('.')[0]).Distinct());
        Assert.Equal([first, second], block.Stateful);

        var (x, context) = (randn(2, Tokens, Width), Context());
        var y = x + first.call(Norm(x), context, null);
        y = y + second.call(Norm(y), context, null);
        Near.Equal(y + mlp.call(Norm(y), context), block.call(x, context), 1e-5);
    }

    [Fact]
    public void Each_mixer_of_a_block_has_a_state_of_its_own()
    {
        using var gradient = no_grad();
        using var scope = NewDisposeScope();
        var (first, second) = (Mixer(), Mixer());
        var block = new Block(
            [
                new Sublayer(Tiny.Config, new("self_attn", 0, "input_layernorm", null), first),
                new Sublayer(Tiny.Config, new("cross_attn", 1, "cross_attention_layernorm", null), second),
            ],
            depth: 0);
        var x = randn(2, Tokens, Width);
        using var firstState = first.NewState(rows: 2, Tokens, CPU);
        using var secondState = second.NewState(rows: 2, Tokens, CPU);
        var states = new Dictionary<nn.Module, LayerState> { [first] = firstState, [second] = secondState };
        var steps = Enumerable.Range(0, Tokens)
            .Select(t => block.call(x.narrow(1, t, 1), Context(tokens: 1, seen: t) with { States = states })).ToArray();
        Near.Equal(block.call(x, Context()), cat(steps, 1), 1e-5);
    }

    [Fact]
    public void What_maps_the_stream_to_the_stream_can_be_a_node_among_blocks()
    {
        using var scope = NewDisposeScope();
        var (first, last) = (Block(0), Block(1));
        var stack = new Stack([first, new Doubling(), last]);
        var (x, context) = (randn(2, Tokens, Width), Context());
        Near.Equal(last.call(2 * first.call(x, context), context), stack.call(x, context), 0);
        Assert.Equal([first, last], stack.Blocks);
        Assert.Contains("2.mlp.up_proj.weight", stack.named_parameters().Select(parameter => parameter.name));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Embeddings_enter_where_ids_do_and_get_their_positions_there(string kind)
    {
        using var gradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(kind);
        var ids = Tiny.Ids(2, 9);
        Near.Equal(model.Hidden(ids), model.HiddenFromEmbeddings(model.Embed(ids)), 0, "whole sequences");

        using var state = model.NewState(rows: 2);
        using var other = model.NewState(rows: 2);
        foreach (var (start, count) in ((int, int)[])[(0, 4), (4, 1), (5, 3)])
        {
            var part = ids.narrow(1, start, count);
            int[] newTokens = [count, Math.Max(1, count - 1)];
            var (expected, found) = (model.Hidden(part, state, newTokens), model.HiddenFromEmbeddings(model.Embed(part), other, newTokens));
            for (var row = 0; row < 2; row++)
                Near.Equal(expected[row].narrow(0, 0, newTokens[row]), found[row].narrow(0, 0, newTokens[row]), 0, $"from {start}");
        }
    }

    [Fact]
    public void Embeddings_get_gradients()
    {
        using var scope = NewDisposeScope();
        using var model = new TransformerModel(Tiny.Config);
        var embeddings = randn(1, Tokens, Width).requires_grad_(true);
        model.HiddenFromEmbeddings(embeddings).square().sum().backward();
        Assert.All(embeddings.grad!.abs().sum(-1).data<float>(), size => Assert.NotEqual(0, size));
    }

    private static TokenMixer Mixer() => TokenMixer.FromConfig(Tiny.Config, 0);

    private static Block Block(int depth) => new(Tiny.Config, Tiny.Config.Blocks().ElementAt(depth));

    private static Tensor Norm(Tensor x) => x * (x.square().mean([-1L], keepdim: true) + 1e-5).rsqrt();

    private static ForwardContext Context(int tokens = Tokens, int? seen = null) =>
        ForwardContext.For(2, tokens, seen is { } length ? [length, length] : null, null, rotary: null, contextLength: 12, CPU);

    private sealed class Doubling() : nn.Module<Tensor, ForwardContext, Tensor>(nameof(Doubling))
    {
        public override Tensor forward(Tensor stream, ForwardContext context) => 2 * stream;
    }
}
