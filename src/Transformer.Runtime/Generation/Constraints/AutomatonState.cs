namespace Transformer.Generation.Constraints;

/// <summary>The state of a text in an expression: what may follow it.</summary>
/// <param name="rest">What must follow.</param>
/// <param name="byteClasses">The number of byte classes.</param>
internal sealed class AutomatonState(Expression rest, int byteClasses)
{
    /// <summary>What must follow.</summary>
    public Expression Rest => rest;

    /// <summary>Whether the text may end here.</summary>
    public bool Accepts => rest.AcceptsEmpty;

    /// <summary>The states after each class of bytes, as far as they have been computed.</summary>
    public Successor[] Successors { get; } = new Successor[byteClasses];

    /// <summary>What follows a byte.</summary>
    /// <param name="IsKnown">Whether it was computed.</param>
    /// <param name="State">The state; null where no text goes on with this byte.</param>
    public readonly record struct Successor(bool IsKnown, AutomatonState? State);
}
