using Transformer.Configuration;

namespace Transformer.Generation;

// V vocabulary

/// <summary>A text of a <see cref="ContinuousBatch"/>, and the task that its caller awaits.</summary>
/// <param name="prompt">The tokens to continue.</param>
/// <param name="begin">Makes its row, which takes memory, when the text starts to run. Its argument is whether the row
/// shares nothing with other texts.</param>
/// <param name="onToken">Called with each token.</param>
/// <param name="onText">Called with each piece of text that is final.</param>
/// <param name="cancellation">Cancels the text.</param>
internal sealed class BatchSequence(
    int[] prompt, Func<bool, GenerationRow> begin, Action<int>? onToken, Action<string>? onText, CancellationToken cancellation)
{
    // Continuations run elsewhere: the thread that takes the steps has other texts to generate.
    private readonly TaskCompletionSource<GeneratedText> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private GenerationRow? row;

    // A shared automaton has a work budget. If it is exhausted, the sequence restarts with its own; tokens that were reported are not
    // repeated.
    private bool ownsAutomaton;
    private int chosenTokens, reportedTokens;

    /// <summary>The tokens to continue.</summary>
    public int[] Prompt => prompt;

    /// <summary>Its tokens, once it has begun.</summary>
    public GenerationRow Row => row!;

    /// <summary>The text when it has ended.</summary>
    public Task<GeneratedText> Text => completion.Task;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => completion.Task.IsCompleted;

    /// <summary>How many tokens of the prompt have been read.</summary>
    public int Reused { get; set; }

    /// <summary>Makes its row. An error ends this text only, as does a constraint that allows no text.</summary>
    public void Begin()
    {
        try
        {
            row = NewRow();
            Report("");
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    /// <summary>Chooses the next token. An error ends this text only.</summary>
    /// <param name="logits">[V] or more; overwritten.</param>
    /// <returns>Whether it continues from what was read; false if it restarted from its prompt.</returns>
    public bool Advance(Span<float> logits)
    {
        try
        {
            if (Choose(logits) is not var (token, text)) return false;
            if (++chosenTokens <= reportedTokens) return true;
            reportedTokens = chosenTokens;
            if (token is { } chosen) onToken?.Invoke(chosen);
            Report(text);
        }
        catch (Exception e)
        {
            Fail(e);
        }
        return true;
    }

    /// <summary>Ends the text with an error.</summary>
    public void Fail(Exception failure) => completion.TrySetException(failure);

    /// <summary>Ends the text as it is, if it was cancelled.</summary>
    public void CancelIfRequested()
    {
        if (cancellation.IsCancellationRequested) Cancel();
    }

    /// <summary>Ends the text as it is.</summary>
    public void Cancel()
    {
        if (row is null)
        {
            completion.TrySetResult(new("", [], FinishReason.Cancelled));
            return;
        }
        try
        {
            Report(row.Finish(FinishReason.Cancelled));
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private GenerationRow NewRow()
    {
        try
        {
            return begin(ownsAutomaton);
        }
        catch (InputException) when (!ownsAutomaton)
        {
            return begin(ownsAutomaton = true);
        }
    }

    // Null where it has restarted.
    private (int? Token, string Text)? Choose(Span<float> logits)
    {
        try
        {
            return Row.Advance(logits);
        }
        catch (InputException) when (!ownsAutomaton)
        {
            (row, chosenTokens) = (begin(ownsAutomaton = true), 0);
            return null;
        }
    }

    private void Report(string text)
    {
        if (text.Length > 0) onText?.Invoke(text);
        if (Row.Finished is not null) completion.TrySetResult(Row.Result with { ReusedTokens = Reused });
    }
}
