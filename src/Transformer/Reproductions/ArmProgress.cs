namespace Transformer.Reproductions;

/// <summary>How far a reproduction is.</summary>
/// <param name="Arm">The arm that runs now.</param>
/// <param name="Number">Which one it is, from 1.</param>
/// <param name="Arms">How many there are.</param>
/// <param name="Step">The steps done; 0 for an arm that has none.</param>
/// <param name="Steps">The steps of this arm; 0 for an arm that has none.</param>
/// <param name="SecondsLeft">The estimated time of the remaining steps of this arm.</param>
public sealed record ArmProgress(string Arm, int Number, int Arms, int Step, int Steps, double SecondsLeft);
