using Transformer.Reproductions;

namespace Transformer.Tests.Reproductions;

public sealed class BoundTests
{
    [Theory]
    [InlineData("at least 0.99", 0.99, true)]
    [InlineData("at least 0.99", 0.9899, false)]
    [InlineData("at most 0.4", 0.4, true)]
    [InlineData("at most 0.4", 0.4001, false)]
    [InlineData("within 0.03 of 1.88", 1.9099, true)]
    [InlineData("within 0.03 of 1.88", 1.8501, true)]
    [InlineData("within 0.03 of 1.88", 1.9101, false)]
    [InlineData("within 0.03 of 1.88", 1.8499, false)]
    public void A_figure_holds_on_one_side_of_its_bound_and_not_on_the_other(string bound, double figure, bool holds) =>
        Assert.Equal(holds, Named(bound).Holds(figure));

    [Theory]
    [InlineData("at least 0.99")]
    [InlineData("at most 0.4")]
    [InlineData("within 0.03 of 1.88")]
    public void What_is_not_a_number_never_holds(string bound) => Assert.False(Named(bound).Holds(double.NaN));

    private static Bound Named(string text) => new[] { Bound.AtLeast(.99), Bound.AtMost(.4), Bound.Within(.03, of: 1.88) }
        .Single(bound => bound.ToString() == text);
}
