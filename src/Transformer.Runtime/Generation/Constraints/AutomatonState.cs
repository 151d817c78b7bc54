namespace Transformer.Generation.Constraints;

/// <summary>Where a text stands in an expression: all that matters of it is what may follow.</summary>
/// <param name="rest">What must follow.</param>
/// <param name="byteClasses">How many kinds of bytes there are.</param>
internal sealed class AutomatonState(Expression rest, int byteClasses)
{
    /// <summary>What must follow.</summary>
    public Expression Rest => rest;

    /// <summary>Whether the text may end here.</summary>
    public bool Accepts => rest.AcceptsEmpty;

    /// <summary>The states behind each kind of byte, as far as they are known.</summary>
    public Successor[] Successors { get; } = new Successor[byteClasses];

    /// <summary>What follows a byte.</summary>
    /// <param name="IsKnown">Whether it was computed.</param>
    /// <param name="State">The state; null where no text goes on with this byte.</param>
    public readonly record struct Successor(bool IsKnown, AutomatonState? State);
}
