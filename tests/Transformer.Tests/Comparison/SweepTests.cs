using Transformer.Comparison;
using Transformer.Configuration;

namespace Transformer.Tests.Comparison;

public sealed class SweepTests
{
    [Theory]
    [InlineData("training.optimizer.x=1e-4:1e-2:log", new[] { 1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2 })]
    [InlineData("training.optimizer.x=1e-3:8e-3:4", new[] { 1e-3, 2e-3, 4e-3, 8e-3 })]
    [InlineData("training.optimizer.x=1:3:linear:3", new[] { 1.0, 2, 3 })]
    public void Values_are_spaced_as_asked(string text, double[] values) => Assert.Equal(values, Sweep.Parse(text).Values);

    [Theory]
    [InlineData("training.optimizer.x")]
    [InlineData("training.optimizer.x=1e-3")]
    [InlineData("training.optimizer.x=0:1")]
    [InlineData("training.optimizer.x=2:1")]
    [InlineData("training.optimizer.x=1:x")]
    [InlineData("training.optimizer.x=1:2:cubic")]
    [InlineData("training.optimizer.x=1:2:log:1")]
    [InlineData("training.optimizer.x=1:inf")]
    public void What_is_no_sweep_is_refused(string text) =>
        Assert.Contains("expected KEY=LOW:HIGH", Assert.Throws<InputException>(() => Sweep.Parse(text)).Message);

    [Theory]
    [InlineData("model.width=16:64")]
    [InlineData("training.seed=1:5")]
    [InlineData("training.steps=100:1000")]
    [InlineData("data.validation_fraction=0.1:0.2")]
    public void A_key_that_decides_more_than_how_well_a_design_learns_is_refused(string text) =>
        Assert.Contains("decides more", Assert.Throws<InputException>(() => Sweep.Parse(text)).Message);

    [Fact]
    public void Values_that_are_the_same_when_rounded_are_refused() => Assert.Contains(
        "too near", Assert.Throws<InputException>(() => Sweep.Parse("training.optimizer.x=1e-3:1.003e-3:log:5")).Message);

    [Fact]
    public void A_value_is_read_back_as_the_same_number() => Assert.All(
        Sweep.Parse("training.optimizer.x=1e-7:9e3:log:50").Values, value => Assert.Equal(value, double.Parse(Sweep.Text(value))));
}
