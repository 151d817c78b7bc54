namespace Transformer.Model;

/// <summary>A change of a state outside of a pass.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Row">The row; that which is copied from.</param>
/// <param name="Argument">The row that is copied to, or the length that stays.</param>
internal readonly record struct StateChange(StateChangeKind Kind, int Row = 0, int Argument = 0);
