using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Positions;

public sealed class RotaryScalingTests
{
    private const int Plenty = 8192;

    private static readonly Dictionary<string, Func<double, RotaryScalingConfig>> Kinds = new()
    {
        ["linear"] = factor => new LinearScalingConfig { Factor = factor },
        ["ntk"] = factor => new NtkScalingConfig { Factor = factor },
        ["dynamic_ntk"] = factor => new DynamicNtkScalingConfig { Factor = factor, OriginalLength = 100 },
        ["yarn"] = factor => new YarnScalingConfig { Factor = factor, OriginalLength = 100 },
        ["llama3"] = factor => new Llama3ScalingConfig { Factor = factor, OriginalLength = 100 },
    };

    // The scalings of the reference's cases, and the length of their text.
    private static readonly Dictionary<string, (RotaryPositionConfig Config, int Length)> Cases = new()
    {
        ["default"] = (new(), Plenty),
        ["linear_factor4"] = (new() { Scaling = new LinearScalingConfig { Factor = 4 } }, Plenty),
        ["ntk_alpha4"] = (new() { Scaling = new NtkScalingConfig { Factor = 4 } }, Plenty),
        ["dynamic_ntk_factor4_original2048_length2048"] = (Dynamic, 2048),
        ["dynamic_ntk_factor4_original2048_length3001"] = (Dynamic, 3001),
        ["dynamic_ntk_factor4_original2048_length8192"] = (Dynamic, 8192),
        ["yarn_factor4_original2048"] = (new() { Scaling = new YarnScalingConfig { Factor = 4, OriginalLength = 2048 } }, Plenty),
        ["yarn_factor16_original4096_base1000000"] = (
            new() { Theta = 1e6, Scaling = new YarnScalingConfig { Factor = 16, OriginalLength = 4096 } }, Plenty),
        ["llama3_factor8_original8192_base500000"] = (
            new() { Theta = 5e5, Scaling = new Llama3ScalingConfig { Factor = 8, OriginalLength = 8192 } }, Plenty),
    };

    public static TheoryData<string> Scalings => [.. Kinds.Keys];

    public static TheoryData<string> References => [.. Cases.Keys];

    private static RotaryPositionConfig Dynamic => new() { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 2048 } };

    [Theory, MemberData(nameof(References))]
    public void Frequencies_are_the_reference_s(string name)
    {
        var expected = Golden.Read("positions/rope.safetensors")[$"{name}.inv_freq"].to(float64);
        var found = tensor(RotaryScaling.Frequencies(Cases[name].Config, headWidth: 64, Cases[name].Length));
        Near.Equal(ones_like(expected), found / expected, 1e-6, name);
    }

    [Theory, MemberData(nameof(References))]
    public void Angles_and_turned_queries_are_the_reference_s(string name)
    {
        var golden = Golden.Read("positions/rope.safetensors");
        var (config, length) = Cases[name];
        var count = golden[$"{name}.cos"].shape[0];
        var near = golden["positions"].data<long>().ToArray().Take((int)count).Count(position => position <= 100);
        using var rotary = new RotaryPosition(config, headWidth: 64, Plenty, CPU);
        var rotation = rotary.At(golden["positions"].narrow(0, 0, count), [length]);
        var turned = rotation.Apply(golden["q"].narrow(1, 0, count).unsqueeze(0)).squeeze(0);
        // An angle of 8191 has an ulp of 5e-4 in the reference's single precision.
        foreach (var (positions, tolerance) in ((long, double)[])[(near, 2e-5), (count, 2e-3)])
        {
            Near.Equal(golden[$"{name}.cos"].narrow(0, 0, positions), rotation.Cos.narrow(0, 0, positions), tolerance, "cos");
            Near.Equal(golden[$"{name}.sin"].narrow(0, 0, positions), rotation.Sin.narrow(0, 0, positions), tolerance, "sin");
            Near.Equal(golden[$"{name}.q_rotated"].narrow(1, 0, positions), turned.narrow(1, 0, positions), tolerance, "turned");
        }
    }

    [Fact]
    public void Adjacent_pairs_turn_as_halves_do_once_they_are_put_in_order()
    {
        var golden = Golden.Read("positions/rope.safetensors");
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 64, 16, CPU);
        Near.Equal(Halves(golden["interleaved.q_rotated"]), rotary.At(0, 16).Apply(Halves(golden["interleaved.q"])), 2e-5);

        // [B, T, H, D] to [B, H, T, D]
        static Tensor Halves(Tensor x) => x.unflatten(3, [32, 2]).transpose(3, 4).flatten(3).transpose(1, 2);
    }

    [Theory, MemberData(nameof(Scalings))]
    public void A_factor_of_one_changes_nothing(string kind)
    {
        using var plain = new RotaryPosition(new RotaryPositionConfig(), headWidth: 16, 400, CPU);
        using var scaled = new RotaryPosition(new RotaryPositionConfig { Scaling = Kinds[kind](1) }, headWidth: 16, 400, CPU);
        var length = kind == "dynamic_ntk" ? 100 : 400;    // past its original length it grows by T / T0 even so
        var (expected, found) = (plain.At(0, length), scaled.At(arange(length), [length]));
        Near.Equal(expected.Cos, found.Cos, 1e-7);
        Near.Equal(expected.Sin, found.Sin, 1e-7);
    }

    [Fact]
    public void Dynamic_ntk_begins_past_the_original_length_and_gives_each_row_its_own()
    {
        using var plain = new RotaryPosition(new RotaryPositionConfig(), headWidth: 16, 400, CPU);
        using var scaled = new RotaryPosition(new RotaryPositionConfig { Scaling = Kinds["dynamic_ntk"](4) }, headWidth: 16, 400, CPU);
        var found = scaled.At(arange(50, 60).expand(3, 10), [100, 101, 400]);
        Near.Equal(plain.At(50, 10).Cos, found.Cos[0, 0], 0);
        Assert.InRange(Near.Distance(plain.At(50, 10).Cos, found.Cos[1, 0]), 1e-3, 1);
        Near.Equal(scaled.At(arange(50, 60), [101]).Sin, found.Sin[1, 0], 0);
        Near.Equal(scaled.At(arange(50, 60), [400]).Sin, found.Sin[2, 0], 0);
        Near.Equal(found.Sin, scaled.At(arange(50, 60), [100, 101, 400]).Sin, 0);
    }

    [Theory, MemberData(nameof(Scalings))]
    public void The_slowest_pair_turns_as_many_times_slower_as_the_factor_says(string kind)
    {
        var plain = RotaryScaling.Frequencies(new RotaryPositionConfig(), 16, 100);
        var scaled = RotaryScaling.Frequencies(new RotaryPositionConfig { Scaling = Kinds[kind](4) }, 16, length: 400);
        var factor = kind == "dynamic_ntk" ? 4 * 4 - 3 : 4;    // 4 T / T0 - 3 of a text four times as long
        Near.Equal(factor, plain[^1] / scaled[^1], 1e-9, "slowest");
        Near.Equal(kind == "linear" ? 4 : 1, plain[0] / scaled[0], 1e-9, "fastest");
        Assert.All(scaled.Zip(scaled.Skip(1)), pair => Assert.True(pair.Second < pair.First, "each pair turns slower than the one before"));
    }

    [Theory, MemberData(nameof(Scalings))]
    public void Scores_depend_on_the_distance_only(string kind)
    {
        using var rotary = new RotaryPosition(new RotaryPositionConfig { Scaling = Kinds[kind](4) }, headWidth: 16, 400, CPU);
        var (q, k) = (randn(2, 3, 20, 16), randn(2, 3, 20, 16));
        Tensor Scores(long start)
        {
            var rotation = rotary.At(arange(start, start + 20), [400]);
            return matmul(rotation.Apply(q), rotation.Apply(k).transpose(-2, -1));
        }
        Near.Equal(Scores(0), Scores(350), 1e-4);
    }

    [Theory, MemberData(nameof(Scalings))]
    public void Only_yarn_changes_lengths(string kind)
    {
        var amplitude = kind == "yarn" ? 0.1 * Math.Log(4) + 1 : 1;
        using var rotary = new RotaryPosition(new RotaryPositionConfig { Scaling = Kinds[kind](4) }, headWidth: 16, 400, CPU);
        var q = randn(2, 3, 20, 16);
        Near.Equal(amplitude * q.norm(-1), rotary.At(arange(350, 370), [400]).Apply(q).norm(-1), 1e-5);
    }
}
