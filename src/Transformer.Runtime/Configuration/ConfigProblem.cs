namespace Transformer.Configuration;

/// <summary>One thing that is wrong with a configuration.</summary>
/// <param name="Path">The dotted path of the key, e.g. <c>model.attention.heads</c>.</param>
/// <param name="Message">What was found, what was expected and what to do.</param>
/// <param name="Alternative">The key that could stand in the place of a missing one.</param>
public sealed record ConfigProblem(string Path, string Message, string? Alternative = null)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Path}: {Message}";

    /// <summary>Throws where there are problems.</summary>
    /// <exception cref="InputException">Where there is a problem: the origin and one line a problem.</exception>
    public static void ThrowIfAny(IReadOnlyList<ConfigProblem> problems, string origin)
    {
        if (problems.Count == 1) throw new InputException($"{origin}: {problems[0]}");
        if (problems.Count > 1) throw new InputException($"{origin}: {problems.Count} problems\n  {string.Join("\n  ", problems)}");
    }
}
