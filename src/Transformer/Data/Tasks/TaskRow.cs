namespace Transformer.Data.Tasks;

/// <summary>A row of a batch while a task writes it, from left to right.</summary>
internal sealed class TaskRow(Batch batch, int row)
{
    private int tokens;

    /// <summary>A token that the model reads and need not predict.</summary>
    public void Give(int token) => batch.Inputs[At(tokens++)] = token;

    /// <summary>What the model has to say after the token that was given last.</summary>
    public void Ask(int answer) => batch.Targets[At(tokens - 1)] = answer;

    /// <summary>
    /// Answers that follow one another: each is asked for, then given, so that the next one continues it; the last one is only asked for.
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
