using Transformer.Configuration;
using Transformer.KindsSample;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers;

public sealed class KindsTests
{
    private const int Width = 6;

    [Fact]
    public void The_sample_s_mlp_is_its_equation()
    {
        using var scope = NewDisposeScope();
        var mlp = new ReGlu(new ReGluConfig { Hidden = 5 }, Width);
        var weights = mlp.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        var x = randn(2, 3, Width);
        var hidden = matmul(x, weights["gate_proj.weight"].t()).clamp_min(0) * matmul(x, weights["up_proj.weight"].t());
        Near.Equal(matmul(hidden, weights["down_proj.weight"].t()), mlp.call(x, new ForwardContext()), 1e-6);
    }

    [Fact]
    public void The_sample_s_norm_gives_every_vector_the_same_length()
    {
        using var scope = NewDisposeScope();
        var lengths = new ScaleNorm(new ScaleNormConfig { Epsilon = 1e-12 }, Width).call(randn(2, 3, Width)).norm(-1);
        Near.Equal(full_like(lengths, Math.Sqrt(Width)), lengths, 1e-5);
    }

    [Fact]
    public void The_sample_s_mixer_reads_padded_rows_in_parts_as_it_reads_them_whole()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var mixer = new AverageMixer(new AverageConfig(), Width);
        var x = randn(2, 7, Width);
        var whole = mixer.call(x, new ForwardContext(), null);

        using var state = mixer.NewState(2, 7, CPU);
        var first = mixer.call(x.narrow(1, 0, 4), Context([0, 0], [4, 2], 4), state);
        mixer.call(randn(2, 2, Width), Context([4, 2], [0, 0], 2), state);    // padding alone
        var rest = mixer.call(stack([x[0].narrow(0, 4, 3), x[1].narrow(0, 2, 3)]), Context([4, 2], [3, 3], 3), state);
        Near.Equal(whole[0], cat([first[0], rest[0]]), 1e-6);
        Near.Equal(whole[1].narrow(0, 0, 5), cat([first[1].narrow(0, 0, 2), rest[1]]), 1e-6);

        static ForwardContext Context(int[] cached, int[] text, int tokens) =>
            ForwardContext.For(2, tokens, cached, text, rotary: null, contextLength: 7, CPU);
    }

    [Fact]
    public void A_record_without_the_attribute_is_refused() => Refused<ReluMlpConfig>("ReluMlpConfig: expected [Kind(");

    [Fact]
    public void A_record_of_another_family_is_refused() => Refused<OtherFamily>("AttentionConfig, MlpConfig, NormConfig");

    [Fact]
    public void A_word_that_configurations_could_not_write_is_refused() => Refused<BadWord>("lower case letters");

    [Fact]
    public void A_word_that_the_library_has_is_refused() => Refused<TakenWord>("MlpConfig already has a kind of this name");

    [Fact]
    public void A_layer_of_another_family_is_refused() => Refused<WrongLayer>("ScaleNorm is not derived from Mlp");

    [Fact]
    public void A_layer_without_the_constructor_is_refused() =>
        Refused<WrongConstructor>("ReGlu has no public constructor (WrongConstructor config, int width)");

    [Fact]
    public void A_record_whose_keys_are_parameters_of_its_constructor_is_refused() =>
        Refused<Positional>("no constructor without parameters");

    [Fact]
    public void An_assembly_without_kinds_is_refused() =>
        Assert.Contains("no record has [Kind(", Assert.Throws<InputException>(() => Kinds.Add(typeof(Kinds).Assembly)).Message);

    [Theory]
    [InlineData("nothing.dll", "no such file")]
    [InlineData("text.dll", "not an assembly built against Transformer")]
    public void A_file_that_is_no_assembly_is_refused(string name, string expected)
    {
        using var folder = new TemporaryFolder();
        folder.Write("text.dll", "no assembly");
        Assert.Contains(expected, Assert.Throws<InputException>(() => Kinds.Load(folder[name])).Message);
    }

    private static void Refused<TConfig>(string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(Kinds.Add<TConfig>).Message);

    [Kind("other", typeof(ReGlu))]
    private sealed record OtherFamily : PositionConfig;

    [Kind("Re-Glu", typeof(ReGlu))]
    private sealed record BadWord : MlpConfig;

    [Kind("swiglu", typeof(TakenLayer))]
    private sealed record TakenWord : MlpConfig;

    [Kind("wrong_layer", typeof(ScaleNorm))]
    private sealed record WrongLayer : MlpConfig;

    [Kind("wrong_constructor", typeof(ReGlu))]
    private sealed record WrongConstructor : MlpConfig;

    [Kind("positional", typeof(ReGlu))]
    private sealed record Positional(int Taps) : MlpConfig;

    private sealed class TakenLayer(TakenWord config, int width) : Transformer.Layers.Mlp.Mlp(nameof(TakenLayer))
    {
        public override Tensor forward(Tensor x, ForwardContext context) => x * config.HiddenAt(width);
    }
}
