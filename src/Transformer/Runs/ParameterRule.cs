using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>How the parameters whose names match are trained.</summary>
public sealed record ParameterRule : IValidated
{
    /// <summary>A name with <c>*</c> for any run of characters, e.g. <c>model.layers.0.*</c>.</summary>
    public required string Pattern { get; init; }

    /// <summary>The factor of their learning rate.</summary>
    public double LearningRateScale { get; init; } = 1;

    /// <summary>Whether they are not trained.</summary>
    public bool Frozen { get; init; }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Pattern.Length == 0)
            yield return new("pattern", "found an empty pattern, expected a parameter name, * for any run of characters");
        if (LearningRateScale < 0) yield return new("learning_rate_scale", $"found {LearningRateScale}, expected 0 or more");
    }
}
