using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Positions;

public sealed class PositionTests
{
    [Theory]
    [InlineData(100, 2e-5)]
    [InlineData(8191, 2e-3)]    // an angle of 8191 has an ulp of 5e-4 in the reference's single precision
    public void Rotary_positions_turn_queries_as_the_reference_does(int last, double tolerance)
    {
        var golden = Golden.Read("positions/rope.safetensors");
        var near = golden["positions"].data<long>().ToArray().Count(position => position <= last);
        var positions = golden["positions"].narrow(0, 0, near);
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 64, length: 8192, CPU);
        var turned = rotary.At(positions.unsqueeze(0)).Apply(golden["q"].narrow(1, 0, near).unsqueeze(0));
        Near.Equal(golden["default.q_rotated"].narrow(1, 0, near).unsqueeze(0), turned, tolerance);
    }

    [Fact]
    public void Rotary_scores_depend_on_the_distance_only()
    {
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 16, length: 200, CPU);
        var (q, k) = (randn(2, 3, 20, 16), randn(2, 3, 20, 16));
        Tensor Scores(long start) => matmul(rotary.At(start, 20).Apply(q), rotary.At(start, 20).Apply(k).transpose(-2, -1));
        Near.Equal(Scores(0), Scores(150), 1e-4);
        Assert.True(Near.Distance(Scores(0), matmul(q, k.transpose(-2, -1))) > 0.1);
    }

    [Fact]
    public void Rotary_positions_keep_lengths()
    {
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 16, length: 200, CPU);
        var q = randn(2, 3, 20, 16);
        Near.Equal(q.square().sum(-1), rotary.At(150, 20).Apply(q).square().sum(-1), 1e-4);
    }

    [Fact]
    public void A_range_and_a_list_of_the_same_positions_turn_alike()
    {
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 16, length: 200, CPU);
        var q = randn(2, 3, 20, 16);
        Near.Equal(rotary.At(7, 20).Apply(q), rotary.At(arange(7, 27).expand(2, 20)).Apply(q), 0);
    }

    [Fact]
    public void The_sinusoidal_table_is_the_reference_s()
    {
        using var table = new SinusoidalPosition(64, 32);
        Near.Equal(Golden.Read("positions/sinusoidal.safetensors")["interleaved_d32"], table.call(arange(64)), 1e-5);
    }
}
