namespace Transformer.Conversations;

/// <summary>A question behind the turns that belong to it.</summary>
/// <param name="Text">The turns, one line each, and the question.</param>
/// <param name="Tokens">The tokens of the text, at most the budget.</param>
/// <param name="Found">The turns that were found by the question's words, in the order in which they were told.</param>
/// <param name="Latest">The last turns of the conversation, which follow them.</param>
/// <param name="TooLong">Turns without room: those that were found, and the one before the latest turns that have room.</param>
/// <param name="Unreadable">Turns with characters that the tokenizer lacks; none of them is in the text.</param>
public sealed record ComposedPrompt(
    string Text, int Tokens, IReadOnlyList<Turn> Found, IReadOnlyList<Turn> Latest, IReadOnlyList<Turn> TooLong,
    IReadOnlyList<Turn> Unreadable);
