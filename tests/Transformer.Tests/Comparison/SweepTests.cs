using Transformer.Comparison;
using Transformer.Configuration;

namespace Transformer.Tests.Comparison;

public sealed class SweepTests
{
    [Theory]
    [InlineData("a.b=1e-4:1e-2:log", new[] { 1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2 })]
    [InlineData("a.b=1e-3:8e-3:4", new[] { 1e-3, 2e-3, 4e-3, 8e-3 })]
    [InlineData("a.b=1:3:linear:3", new[] { 1.0, 2, 3 })]
    public void Values_are_spaced_as_asked(string text, double[] values) => Assert.Equal(values, Sweep.Parse(text).Values);

    [Theory]
    [InlineData("a.b")]
    [InlineData("a.b=1e-3")]
    [InlineData("a.b=0:1")]
    [InlineData("a.b=2:1")]
    [InlineData("a.b=1:x")]
    [InlineData("a.b=1:2:cubic")]
    [InlineData("a.b=1:2:log:1")]
    [InlineData("a.b=1:inf")]
    public void What_is_no_sweep_is_refused(string text) =>
        Assert.Contains("expected KEY=LOW:HIGH", Assert.Throws<InputException>(() => Sweep.Parse(text)).Message);

    [Fact]
    public void A_value_is_read_back_as_the_same_number() =>
        Assert.All(Sweep.Parse("k=1e-7:9e3:log:50").Values, value => Assert.Equal(value, double.Parse(Sweep.Text(value))));
}
