namespace Transformer.Comparison;

/// <summary>Why a comparison of two designs would not be one of the designs alone.</summary>
/// <param name="Key">The key or the quantity that differs.</param>
/// <param name="Message">What it means for the comparison.</param>
/// <param name="IsRefused">Whether figures of the two cannot be compared at all.</param>
public sealed record Unfairness(string Key, string Message, bool IsRefused = false)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Key}: {Message}";
}
