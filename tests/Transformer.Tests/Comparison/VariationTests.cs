using Transformer.Comparison;
using Transformer.Configuration;

namespace Transformer.Tests.Comparison;

public sealed class VariationTests
{
    [Fact]
    public void Commas_within_brackets_braces_and_quotes_belong_to_a_value()
    {
        var variation = Variation.Parse("model.attention={kind: softmax, heads: 4},{kind: linear, heads: [1, 2]},'a,b'");
        Assert.Equal("model.attention", variation.Key);
        Assert.Equal(["{kind: softmax, heads: 4}", "{kind: linear, heads: [1, 2]}", "'a,b'"], variation.Values);
    }

    [Fact]
    public void A_part_is_named_by_its_kind_unless_another_has_the_same()
    {
        var kinds = Variation.Parse("model.attention={kind: softmax, heads: 4},{kind: linear, heads: 4}");
        Assert.Equal(["softmax", "linear"], kinds.Values.Select(kinds.NameOf));
        var windows = Variation.Parse("w={kind: sliding, size: 8},{kind: sliding, size: 16},full");
        Assert.Equal(["w kind: sliding, size: 8", "w kind: sliding, size: 16", "full"], windows.Values.Select(windows.NameOf));
        var widths = Variation.Parse("model.width=64,96");
        Assert.Equal(["width 64", "width 96"], widths.Values.Select(widths.NameOf));
    }

    [Fact]
    public void A_grid_has_all_combinations_and_begins_with_the_first_values()
    {
        var grid = Variation.Grid([Variation.Parse("a=1,2"), Variation.Parse("b=x,y,z")]).ToList();
        Assert.Equal(6, grid.Count);
        Assert.Equal(["a=1", "b=x"], grid[0]);
        Assert.Equal(6, grid.Select(settings => string.Join(' ', settings)).Distinct().Count());
        Assert.Equal([[]], Variation.Grid([]));
    }

    [Theory]
    [InlineData("softmax,linear", "expected KEY=VALUE")]
    [InlineData("=softmax", "expected KEY=VALUE")]
    [InlineData("model.mlp.kind=gelu,", "empty value")]
    [InlineData("model.mlp.kind=gelu,gelu", "gelu twice")]
    public void What_is_no_variation_is_refused(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Variation.Parse(text)).Message);
}
