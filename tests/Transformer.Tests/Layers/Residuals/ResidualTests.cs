using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Layers.Residuals;
using Transformer.Model;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Residuals;

public sealed class ResidualTests
{
    private const int Layers = 3;

    private static readonly Func<Tensor, Tensor> Square = x => 0.3 * x.square() + 0.1;

    private static readonly Tensor X = randn(2, 5, 8);

    public static TheoryData<string> Kinds => [.. Tiny.Residuals.Keys];

    [Fact]
    public void Pre_norm_adds_what_the_sub_layer_makes_of_the_normalised_stream()
    {
        var norm = Norm();
        Near.Equal(X + Square(Normalised(X, norm)), new PreNormResidual(norm).Apply(X, Square), 1e-5);
    }

    [Fact]
    public void Post_norm_normalises_the_sum()
    {
        var norm = Norm();
        Near.Equal(Normalised(X + Square(X), norm), new PostNormResidual(norm).Apply(X, Square), 1e-5);
    }

    [Fact]
    public void Sandwich_normalises_before_and_after_the_sub_layer()
    {
        var (before, after) = (Norm(), Norm());
        Near.Equal(X + Normalised(Square(Normalised(X, before)), after), new SandwichResidual(before, after).Apply(X, Square), 1e-5);
    }

    [Fact]
    public void Deep_norm_weighs_the_stream_by_the_fourth_root_of_twice_the_depth()
    {
        var norm = Norm();
        // (2 x 8)^(1/4) = 2
        Near.Equal(Normalised(2 * X + Square(X), norm), new DeepNormResidual(norm, layers: 8).Apply(X, Square), 1e-5);
    }

    [Fact]
    public void Rezero_is_the_identity_at_first_and_then_adds_its_share()
    {
        var residual = new ReZeroResidual();
        Near.Equal(X, residual.Apply(X, Square), 0);
        using (no_grad()) residual.Weight("alpha").fill_(0.7);
        Near.Equal(X + 0.7 * Square(X), residual.Apply(X, Square), 1e-6);
    }

    [Fact]
    public void Hyper_connections_are_their_sums_written_out()
    {
        const int Streams = 3;
        var norm = Norm();
        var residual = Tiny.Stir(new HyperConnections(norm, Streams, sublayer: 4));
        Parameter input = residual.Weight("input"), mixing = residual.Weight("mixing"), output = residual.Weight("output");
        using (no_grad()) foreach (var parameter in residual.parameters()) parameter.copy_(randn_like(parameter));
        var streams = Enumerable.Range(0, Streams).Select(_ => randn(2, 5, 8)).ToArray();

        var read = streams.Select((stream, i) => input[i] * stream).Aggregate((sum, term) => sum + term);
        var y = Square(Normalised(read, norm));
        var found = residual.Apply(stack(streams), Square);
        for (var i = 0; i < Streams; i++)
        {
            var mixed = streams.Select((stream, j) => mixing[i * Streams + j] * stream).Aggregate((sum, term) => sum + term);
            Near.Equal(mixed + output[i] * y, found[i], 1e-5, $"stream {i}");
        }
        Near.Equal((streams[0] + streams[1] + streams[2]) / 3, residual.Close(stack(streams)), 1e-6, "the end");
    }

    [Fact]
    public void Each_sub_layer_starts_by_reading_the_next_stream()
    {
        for (var sublayer = 0; sublayer < 7; sublayer++)
            Assert.Equal(sublayer % 3, new HyperConnections(Norm(), 3, sublayer).Weight("input").argmax().item<long>());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Hyper_connections_start_as_pre_norm_in_values_and_gradients(int streams)
    {
        var config = Tiny.Config with { Layers = Layers };
        using var plain = new TransformerModel(config);
        using var hyper = new TransformerModel(config with { Residual = new HyperConnectionsResidualConfig { Streams = streams } });
        Tiny.CopyWeights(plain, hyper);
        var ids = Tiny.Ids(2, 7);
        Near.Equal(plain.call(ids, null), hyper.call(ids, null), 2e-5, "logits");
        foreach (var model in (TransformerModel[])[plain, hyper]) LanguageModelLoss.CrossEntropy(model.call(ids, null), ids).backward();
        foreach (var (name, parameter) in plain.named_parameters()) Near.Equal(parameter.grad!, hyper.Weight(name).grad!, 2e-5, name);
    }

    [Fact]
    public void Streams_part_in_training_because_different_sub_layers_read_them()
    {
        using var model = new TransformerModel(Tiny.Config with { Residual = new HyperConnectionsResidualConfig { Streams = 2 } });
        var ids = Tiny.Ids(2, 7);
        LanguageModelLoss.CrossEntropy(model.call(ids, null), ids.roll(1)).backward();
        var written = model.Weight("model.layers.0.self_attn_residual.output").grad!;    // the MLP reads the second stream, not the first
        Assert.True(Near.Distance(written[0], written[1]) > 1e-3);
    }

    [Fact]
    public void Every_block_of_rezero_starts_as_the_identity()
    {
        using var model = new TransformerModel(Tiny.Config with { Residual = new ReZeroResidualConfig() });
        using var shallow = new TransformerModel(model.Config with { Layers = 0 });
        Tiny.CopyWeights(model, shallow);
        var ids = Tiny.Ids(2, 5);
        Near.Equal(shallow.Hidden(ids), model.Hidden(ids), 0);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_whole_model_is_its_equations_one_block_after_the_other(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Stir(new TransformerModel(Tiny.Config with { Residual = Tiny.Residuals[kind], Layers = Layers }));
        var ids = Tiny.Ids(2, 7);
        Near.Equal(new PlainReading(model).Hidden(ids), model.Hidden(ids), 2e-5);
    }

    [Fact]
    public void Numbers_of_residuals_do_not_decay_and_muon_leaves_them_alone()
    {
        foreach (var kind in (string[])["rezero", "hyper_connections", "value_residual"])
        {
            using var model = new TransformerModel(Tiny.Deep[kind]);
            using var space = new ParameterSpace(model);
            var numbers = space.Parameters.Where(parameter => parameter.Name.Contains("_residual.") || parameter.Name.EndsWith("value_mix"))
                .ToList();
            Assert.NotEmpty(numbers);
            Assert.All(
                numbers, parameter => Assert.False(parameter.Decays || WeightInitialization.IsHidden(parameter.Name, parameter.Value)));
        }
    }

    [Theory]
    [InlineData("post_norm", "self_attn_post_attention_mlp_post_feedforward")]
    [InlineData("sandwich", "input_self_attn_post_attention_pre_feedforward_mlp_post_feedforward")]
    public void Norms_are_called_as_in_the_models_that_have_them(string kind, string order)
    {
        using var model = new TransformerModel(Tiny.Config with { Residual = Tiny.Residuals[kind] });
        var parts = model.named_parameters().Select(parameter => parameter.name.Split('.')).Where(name => name.Length > 3 && name[2] == "0")
            .Select(name => name[3]).Distinct();
        Assert.Equal(order, string.Join('_', parts.Select(part => part.Replace("_layernorm", ""))));
        Assert.Equal(kind == "sandwich", model.named_parameters().Any(parameter => parameter.name == "model.norm.weight"));
    }

    private static LayerNorm Norm()
    {
        var norm = nn.LayerNorm(8);
        using (no_grad()) foreach (var parameter in norm.parameters()) parameter.copy_(rand(8) + 0.5);
        return norm;
    }

    private static Tensor Normalised(Tensor x, LayerNorm norm)
    {
        var centred = x - x.mean([-1L], keepdim: true);
        return centred / (centred.square().mean([-1L], keepdim: true) + 1e-5).sqrt() * norm.weight! + norm.bias!;
    }
}
