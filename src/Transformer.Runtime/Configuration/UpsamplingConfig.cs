using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// s tokens of a group · C width · H heads

/// <summary>How the vector of a group becomes those that its s tokens add to theirs.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(RepeatUpsamplingConfig), "repeat")]
[JsonDerivedType(typeof(LinearUpsamplingConfig), "linear")]
[JsonDerivedType(typeof(AttentionUpsamplingConfig), "attention")]
public abstract record UpsamplingConfig
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

/// <summary>The same vector for each of them.</summary>
public sealed record RepeatUpsamplingConfig : UpsamplingConfig;

/// <summary>[y_1; ...; y_s] = W y + b: a map of its own for each place in the group.</summary>
public sealed record LinearUpsamplingConfig : UpsamplingConfig
{
    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) =>
    [
        ParameterSpec.Matrix("proj.weight", (long)shorten * model.Width, model.Width, MatrixRole.ResidualProjection),
        new("proj.bias", [(long)shorten * model.Width], new ConstantDraw(0)),
    ];

    /// <inheritdoc/>
    internal override (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten) =>
        (0, (long)shorten * model.Width * model.Width);
}

/// <summary>
/// Attention from each token, with what another upsampling gives it, to the vector of its group, and a feed-forward layer.
/// </summary>
public sealed record AttentionUpsamplingConfig : UpsamplingConfig
{
    /// <summary>H, the number of heads, which divides the width.</summary>
    public required int Heads { get; init; }

    /// <summary>Whether the four projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>The upsampling that the query begins with: repeat or linear.</summary>
    public UpsamplingConfig Initial { get; init; } = new RepeatUpsamplingConfig();

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> ProblemsAt(int width)
    {
        if (Heads < 1 || width % Heads != 0) yield return new("heads", $"found {Heads}, expected a divisor of width {width}");
        if (Initial is AttentionUpsamplingConfig) yield return new("initial.kind", "found attention, expected repeat or linear");
    }

    /// <inheritdoc/>
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) =>
    [
        .. Initial.Parameters(model, shorten).Select(parameter => parameter.Within("initial")),
        .. ResamplingParameters.Of(model, Bias),
    ];

    /// <inheritdoc/>
    internal override (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten)
    {
        var square = (long)model.Width * model.Width;
        var feedForward = model.Mlp.CostAt(model.Width).MatrixParameters;
        return (2 * square + feedForward, Initial.MatrixParameters(model, shorten).OfGroups + 2 * square);
    }

    /// <inheritdoc/>
    internal override (long OfTokens, long OfGroups) ActivationsIn(ModelConfig model) =>
        (5L * model.Width + model.Mlp.CostAt(model.Width).Activations, 2L * model.Width);
}
