namespace Transformer.Configuration;

/// <summary>One thing that is wrong with a configuration.</summary>
/// <param name="Path">The dotted path of the key, e.g. <c>model.attention.heads</c>.</param>
/// <param name="Message">What was found, what was expected and what to do.</param>
/// <param name="Alternative">The key that could stand in the place of a missing one.</param>
public sealed record ConfigProblem(string Path, string Message, string? Alternative = null)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Path}: {Message}";
}
