using Transformer.Configuration;
using Transformer.Model;

namespace Transformer.Tests.Configuration;

public sealed class ParameterShapesTests
{
    public static TheoryData<string> Kinds => [.. Tiny.Models.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_parameters_that_a_configuration_foretells_are_the_models(string kind)
    {
        using var model = new TransformerModel(Tiny.Models[kind]);
        Assert.Equal(
            model.Weights.Select(weight => $"{weight.Name} [{string.Join(", ", weight.Value.shape)}]").Order(StringComparer.Ordinal),
            ParameterShapes.Of(Tiny.Models[kind]).Select(parameter => $"{parameter.Name} [{string.Join(", ", parameter.Shape)}]")
                .Order(StringComparer.Ordinal));
    }
}
