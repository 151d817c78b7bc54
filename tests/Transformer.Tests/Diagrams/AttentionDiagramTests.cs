using Transformer.Configuration;
using Transformer.Diagrams;
using Transformer.Layers;
using Transformer.Tests.Cli;
using static TorchSharp.torch;

namespace Transformer.Tests.Diagrams;

public class AttentionDiagramTests
{
    private const int Tokens = 12;

    public static TheoryData<string> Windows => [.. Tiny.Windows.Keys];

    [Theory, MemberData(nameof(Windows))]
    public void The_keys_that_are_drawn_are_those_that_the_layer_reads(string window)
    {
        var config = Tiny.Config with { Attention = new SoftmaxAttentionConfig { Heads = 4, Window = Tiny.Windows[window] } };
        Assert.Equal(KeysThatTheLayerReads(config), KeysThatAreDrawn(config).Select(key => (key.Query, key.Key)));
    }

    [Fact]
    public void Alibi_shades_each_head_by_its_slope()
    {
        var config = Tiny.Config with { Position = new AlibiPositionConfig() };
        var drawn = KeysThatAreDrawn(config).ToList();
        var expected = AlibiPositionConfig.Slopes(4).SelectMany(slope => Enumerable.Range(0, Tokens).SelectMany(query =>
            Enumerable.Range(0, query + 1).Select(key => Math.Round(Math.Exp(-slope * (query - key)), 2))));
        Assert.Equal(expected.Where(weight => weight > 0).Order(), drawn.Select(key => key.Weight).Order());
    }

    [Fact]
    public void A_hybrid_has_a_picture_for_each_mixer_that_sees_other_keys()
    {
        var config = Tiny.Config with
        {
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["local"] = new SoftmaxAttentionConfig { Heads = 4, Window = new SlidingWindowConfig { Size = 3 } },
                ["other"] = Tiny.Linear["gated_delta"],
                ["global"] = Tiny.Config.Attention!,
            },
            Pattern = ["local", "other", "global"],
        };
        var texts = new DrawnPicture(AttentionDiagram.Draw(config, Tokens)).Texts.Select(text => text.Text).ToList();
        foreach (var text in (string[])["causal attention, window sliding", "size 3", "causal attention, window full"])
            Assert.Contains(text, texts);
    }

    [Fact]
    public async Task A_mixer_without_a_mask_is_refused_by_name() => await CliRun.Refuses(
        "config show names --set model.attention.kind=linear --mask mask.svg",
        "only the mask of softmax attention is drawn; found linear");

    [Fact]
    public async Task A_matrix_too_large_to_see_or_without_a_picture_is_refused()
    {
        await CliRun.Refuses(
            "config show names --mask mask.svg --mask-tokens 1000", "--mask-tokens: found 1000, expected a whole number from 2 to 64.");
        await CliRun.Refuses("config show names --mask-tokens 8", "--mask-tokens: only --mask shows tokens; add --mask FILE.");
    }

    private static IEnumerable<(int Query, int Key, double Weight)> KeysThatAreDrawn(ModelConfig config)
    {
        var keys = new DrawnPicture(AttentionDiagram.Draw(config, Tokens)).Keys;
        var (left, top) = (keys.Min(key => key.Area.Left), keys.Min(key => key.Area.Top));
        // The last square is that of the legend.
        var legend = keys.Max(key => key.Area.Top);
        return from key in keys
               where key.Area.Top < legend
               select ((int)(key.Area.Top - top) / 20, (int)(key.Area.Left - left) / 20, key.Weight);
    }

    // Those whose vectors change the query's output by more than the epsilon of soft masks does.
    private static IEnumerable<(int Query, int Key)> KeysThatTheLayerReads(ModelConfig config)
    {
        using var scope = NewDisposeScope();
        using var layer = TokenMixer.FromConfig(config, layer: 0);
        var x = randn(1, Tokens, config.Width, requires_grad: true);
        var y = layer.call(x, new ForwardContext(), null);
        var read = new List<(int, int)>();
        for (var query = 0; query < Tokens; query++)
        {
            var gradient = autograd.grad([y[0, query].sum()], [x], retain_graph: true)[0].abs().sum(-1);    // [1, T]
            read.AddRange(Enumerable.Range(0, Tokens).Where(key => gradient[0, key].item<float>() > 1e-6).Select(key => (query, key)));
        }
        return read;
    }
}
