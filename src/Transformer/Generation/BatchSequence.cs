namespace Transformer.Generation;

// V vocabulary

/// <summary>A text of a <see cref="ContinuousBatch"/>, and those who wait for it.</summary>
/// <param name="prompt">What it goes on from.</param>
/// <param name="begin">Makes its row, which takes memory: not before it runs.</param>
/// <param name="onToken">Called with each token.</param>
/// <param name="onText">Called with each piece of text that is sure.</param>
/// <param name="cancellation">Whether nobody wants it any more.</param>
internal sealed class BatchSequence(int[] prompt, Func<GenerationRow> begin, Action<int>? onToken, Action<string>? onText, CancellationToken cancellation)
{
    // Who waits goes on elsewhere: the thread that writes has other texts to care for.
    private readonly TaskCompletionSource<GeneratedText> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private GenerationRow? row;

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

    /// <summary>Makes its row, where there is none yet.</summary>
    /// <returns>Whether there is anything to write.</returns>
    public bool Begins()
    {
        if (row is not null) return true;
        try
        {
            row = begin();
            Tell("");
        }
        catch (Exception e)
        {
            completion.TrySetException(e);
        }
        return !HasEnded;
    }

    /// <summary>Chooses the next token. What goes wrong ends this text only.</summary>
    /// <param name="logits">[V] or more; overwritten.</param>
    public void Advance(Span<float> logits)
    {
        try
        {
            var (token, text) = Row.Advance(logits);
            if (token is { } chosen) onToken?.Invoke(chosen);
            Tell(text);
        }
        catch (Exception e)
        {
            completion.TrySetException(e);
        }
    }

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
            Tell(row.Finish(FinishReason.Cancelled));
        }
        catch (Exception e)
        {
            completion.TrySetException(e);
        }
    }

    private void Tell(string text)
    {
        if (text.Length > 0) onText?.Invoke(text);
        if (Row.Finished is not null) completion.TrySetResult(Row.Result with { ReusedTokens = Reused });
    }
}
