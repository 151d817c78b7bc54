namespace Transformer.Conversations;

/// <summary>A conversation as a list shows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Turns">How many turns it has.</param>
/// <param name="First">When the first of them was added, in UTC.</param>
/// <param name="Last">When the last of them was added, in UTC.</param>
public sealed record Conversation(string Name, long Turns, DateTime First, DateTime Last);
