namespace Transformer.Conversations;

/// <summary>One turn of a conversation.</summary>
/// <param name="Id">Its place among all turns of the memory, in the order in which they were told.</param>
/// <param name="Conversation">The conversation's name.</param>
/// <param name="Number">The turn's number in its conversation, from 1 on.</param>
/// <param name="Role">Who says it: user, assistant, a name.</param>
/// <param name="Text">What is said.</param>
/// <param name="Time">When it was added, in UTC.</param>
public sealed record Turn(long Id, string Conversation, long Number, string Role, string Text, DateTime Time)
{
    /// <summary>
    /// The turn as a prompt has it: <c>role: text</c>. Further lines of the text are indented, so that none of them looks like a turn.
    /// </summary>
    public string Line => TurnLines.Line(Role, Text);

    /// <summary>Its place: the conversation and the number.</summary>
    public override string ToString() => $"{Conversation} {Number}";
}
