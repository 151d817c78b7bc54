namespace Transformer.Data.Tasks;

/// <summary>A row of a batch while a task fills it, from left to right.</summary>
/// <param name="batch">The batch.</param>
/// <param name="row">Which of its rows.</param>
/// <param name="split">What the row is for.</param>
/// <param name="number">Its number among the rows of the split.</param>
internal sealed class TaskRow(Batch batch, int row, TaskSplit split, ulong number)
{
    private int tokens;

    /// <summary>What the row is for.</summary>
    public TaskSplit Split => split;

    /// <summary>Its number among the rows of its split.</summary>
    public ulong Number => number;

    /// <summary>Which of the task's sorts of question it asks; null where the task has one sort only.</summary>
    public string? Sort { get; set; }

    /// <summary>Appends a place where the model reads a picture.</summary>
    public void GivePicture() => batch.Inputs[At(tokens++)] = Batch.ImagePlaceholder;

    /// <summary>Fills what is left of the row with a token.</summary>
    public void Pad(int token)
    {
        while (tokens < batch.Columns) Give(token);
    }

    /// <summary>Appends a token that the model reads and need not predict.</summary>
    public void Give(int token) => batch.Inputs[At(tokens++)] = token;

    /// <summary>Sets the target after the last given token.</summary>
    public void Ask(int answer) => batch.Targets[At(tokens - 1)] = answer;

    /// <summary>
    /// Answers that follow one another: each is a target and then an input, so that the next one continues it; the last one is only a
    /// target.
    /// </summary>
    public void AskInTurn(IReadOnlyList<int> answers)
    {
        for (var i = 0; i < answers.Count; i++)
        {
            if (i > 0) Give(answers[i - 1]);
            Ask(answers[i]);
        }
    }

    private int At(int column) =>
        column < batch.Columns ? row * batch.Columns + column : throw new InvalidOperationException("the row is full");
}
