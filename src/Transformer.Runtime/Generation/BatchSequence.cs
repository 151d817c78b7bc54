using Transformer.Configuration;

namespace Transformer.Generation;

// V vocabulary

/// <summary>A text of a <see cref="ContinuousBatch"/>, and those who wait for it.</summary>
/// <param name="prompt">What it goes on from.</param>
/// <param name="begin">Makes its row, which takes memory: not before it runs. Its argument is whether the row shares nothing with other
/// texts.</param>
/// <param name="onToken">Called with each token.</param>
/// <param name="onText">Called with each piece of text that is sure.</param>
/// <param name="cancellation">Whether nobody wants it any more.</param>
internal sealed class BatchSequence(
    int[] prompt, Func<bool, GenerationRow> begin, Action<int>? onToken, Action<string>? onText, CancellationToken cancellation)
{
    // Who waits goes on elsewhere: the thread that takes the steps has other texts to care for.
    private readonly TaskCompletionSource<GeneratedText> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private GenerationRow? row;

    // A shared automaton has a work budget. If it is exhausted, the sequence restarts with its own; tokens that were reported are not
    // repeated.
    private bool isApart;
    private int chosenTokens, reportedTokens;

    /// <summary>What it goes on from.</summary>
    public int[] Prompt => prompt;

    /// <summary>Its tokens, once it has begun.</summary>
    public GenerationRow Row => row!;

    /// <summary>The text when it has ended.</summary>
    public Task<GeneratedText> Text => completion.Task;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => completion.Task.IsCompleted;

    /// <summary>How many tokens of the prompt were read already.</summary>
    public int Reused { get; set; }

    /// <summary>Makes its row. What goes wrong ends this text only, as does a constraint after which no text is possible.</summary>
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

    /// <summary>Chooses the next token. What goes wrong ends this text only.</summary>
    /// <param name="logits">[V] or more; overwritten.</param>
    /// <returns>Whether it goes on from what was read; else it has begun anew with its prompt.</returns>
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

    /// <summary>Ends the text with what went wrong.</summary>
    public void Fail(Exception failure) => completion.TrySetException(failure);

    /// <summary>Ends the text with what there is, where that is asked for.</summary>
    public void CancelIfAsked()
    {
        if (cancellation.IsCancellationRequested) Cancel();
    }

    /// <summary>Ends the text with what there is.</summary>
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
            return begin(isApart);
        }
        catch (InputException) when (!isApart)
        {
            return begin(isApart = true);
        }
    }

    // Null where it has begun anew.
    private (int? Token, string Text)? Choose(Span<float> logits)
    {
        try
        {
            return Row.Advance(logits);
        }
        catch (InputException) when (!isApart)
        {
            (row, chosenTokens) = (begin(isApart = true), 0);
            return null;
        }
    }

    private void Report(string text)
    {
        if (text.Length > 0) onText?.Invoke(text);
        if (Row.Finished is not null) completion.TrySetResult(Row.Result with { ReusedTokens = Reused });
    }
}
