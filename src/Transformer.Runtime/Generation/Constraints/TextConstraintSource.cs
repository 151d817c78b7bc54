namespace Transformer.Generation.Constraints;

/// <summary>What a constraint was made of.</summary>
/// <param name="IsSchema">Whether it is a JSON schema; else a regular expression.</param>
/// <param name="Text">The schema or the pattern.</param>
internal sealed record TextConstraintSource(bool IsSchema, string Text)
{
    /// <summary>The constraint.</summary>
    /// <exception cref="Configuration.InputException">The text is no schema or no pattern.</exception>
    public TextConstraint ToConstraint() => IsSchema ? TextConstraint.JsonSchema(Text) : TextConstraint.Regex(Text);
}
