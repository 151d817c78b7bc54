using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// s tokens of a group · C width · H heads

/// <summary>How the s tokens of a group become one vector.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(AveragePoolingConfig), "average")]
[JsonDerivedType(typeof(LinearPoolingConfig), "linear")]
[JsonDerivedType(typeof(AttentionPoolingConfig), "attention")]
public abstract record PoolingConfig
{
    /// <summary>What is wrong with it in a model of this width; paths are relative to the record.</summary>
    internal virtual IEnumerable<ConfigProblem> ProblemsAt(int width) => [];

    /// <summary>What it learns, named relative to it.</summary>
    /// <param name="model">The model that it is part of.</param>
    /// <param name="shorten">s.</param>
    internal virtual IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) => [];

    /// <summary>The weights that are multiplied with each of the tokens, and with each group.</summary>
    /// <param name="model">The model that it is part of.</param>
    /// <param name="shorten">s.</param>
    internal virtual (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten) => (0, 0);

    /// <summary>About how many numbers each of the tokens, and each group, leaves for the backward pass beside its own vector.</summary>
    /// <param name="model">The model that it is part of.</param>
    internal virtual (long OfTokens, long OfGroups) ActivationsIn(ModelConfig model) => (0, 0);
}

/// <summary>Their mean.</summary>
public sealed record AveragePoolingConfig : PoolingConfig;

/// <summary>W [x_1; ...; x_s] + b: a map of all of them.</summary>
public sealed record LinearPoolingConfig : PoolingConfig
{
    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) =>
    [
        ParameterSpec.Matrix("proj.weight", model.Width, (long)shorten * model.Width, MatrixRole.Hidden),
        new("proj.bias", [model.Width], new ConstantDraw(0)),
    ];

    /// <inheritdoc/>
    internal override (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten) =>
        (0, (long)shorten * model.Width * model.Width);
}

/// <summary>Attention from what another pooling gives to the tokens of the group, and a feed-forward layer.</summary>
public sealed record AttentionPoolingConfig : PoolingConfig
{
    /// <summary>H, the number of heads, which divides the width.</summary>
    public required int Heads { get; init; }

    /// <summary>Whether the four projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>The pooling that gives the query: average or linear.</summary>
    public PoolingConfig Initial { get; init; } = new AveragePoolingConfig();

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> ProblemsAt(int width)
    {
        if (Heads < 1 || width % Heads != 0) yield return new("heads", $"found {Heads}, expected a divisor of width {width}");
        if (Initial is AttentionPoolingConfig) yield return new("initial.kind", "found attention, expected average or linear");
    }

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) =>
    [
        .. Initial.Parameters(model, shorten).Select(parameter => parameter.Within("initial")),
        .. ResamplingParameters.Of(model, Bias),
    ];

    // Keys and values are of the tokens, the rest of the groups.
    /// <inheritdoc/>
    internal override (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten)
    {
        var square = (long)model.Width * model.Width;
        var feedForward = model.Mlp.CostAt(model.Width).MatrixParameters;
        return (2 * square, Initial.MatrixParameters(model, shorten).OfGroups + 2 * square + feedForward);
    }

    // Keys and values; the query, what it reads and what the feed-forward layer keeps.
    /// <inheritdoc/>
    internal override (long OfTokens, long OfGroups) ActivationsIn(ModelConfig model) =>
        (2L * model.Width, 5L * model.Width + model.Mlp.CostAt(model.Width).Activations);
}
