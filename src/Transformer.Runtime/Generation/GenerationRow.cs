using System.Text;
using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>One sequence of a batch while it is generated.</summary>
internal sealed class GenerationRow
{
    private readonly SamplingOptions options;
    private readonly int vocabularySize;
    private readonly TokenSampler sampler;
    private readonly TokenConstraint? constraint;
    private readonly StreamingDecoder? decoder;
    private readonly StopScanner stops;
    private readonly StringBuilder text = new();
    private readonly List<int> tokens = [];
    private readonly IReadOnlyList<int> stopTokens;

    /// <param name="options">How tokens are chosen.</param>
    /// <param name="row">Its number in the batch.</param>
    /// <param name="prompt">At least one token.</param>
    /// <param name="window">What the model sees of it.</param>
    /// <param name="vocabularySize">The number of tokens to choose from.</param>
    /// <param name="tokenizer">What the tokens mean; without one the row has tokens only.</param>
    /// <param name="masks">The constraint of the text; none where null.</param>
    public GenerationRow(
        SamplingOptions options, int row, ReadOnlySpan<int> prompt, ContextWindow window, int vocabularySize, Tokenizer? tokenizer,
        TokenMasks? masks = null)
    {
        (this.options, this.vocabularySize, Window) = (options, vocabularySize, window);
        stopTokens = tokenizer?.StopTokens ?? [];
        constraint = masks is null ? null : new TokenConstraint(masks, prompt[^1]);
        sampler = new TokenSampler(options, vocabularySize, row) { Constraint = constraint };
        foreach (var token in prompt) sampler.Observe(token);
        if (tokenizer is not null) decoder = new StreamingDecoder(tokenizer, prompt[^1]);
        stops = new StopScanner(options.Stop);
        Unread = window.Count;
        if (constraint is { IsComplete: true }) Finish(FinishReason.EndOfText);    // only the empty text matches
    }

    /// <summary>The tokens that the model sees, up to the last one.</summary>
    public ContextWindow Window { get; }

    /// <summary>
    /// How many of the window's last tokens the model has not read yet: all of them before the first step and after the window was cut.
    /// </summary>
    public int Unread { get; set; }

    /// <summary>Those tokens, the last of <see cref="Window"/>.</summary>
    public ReadOnlySpan<int> UnreadTokens => Window.Tokens[^Unread..];

    /// <summary>How many tokens may still be chosen.</summary>
    public int Remaining => options.MaxTokens - tokens.Count;

    /// <summary>Why the row has ended; null while it has not.</summary>
    public FinishReason? Finished { get; private set; }

    /// <summary>Whether another row goes on with the text, so that what is held back of it is not released where this one ends.</summary>
    public bool IsContinued { get; set; }

    /// <summary>Where the random numbers are.</summary>
    public ulong RandomState
    {
        get => sampler.RandomState;
        set => sampler.RandomState = value;
    }

    /// <summary>The tokens chosen so far.</summary>
    public IReadOnlyList<int> Tokens => tokens;

    /// <summary>The result so far.</summary>
    public GeneratedText Result => new(text.ToString(), tokens, Finished!.Value)
    {
        Dropped = Window.DroppedTokens == 0 ? null : new(Window.Policy, Window.DroppedTokens, Window.DroppedTurns)
    };

    /// <summary>The text that is held back, since a stop string may begin with it.</summary>
    public string Held => stops.Held;

    /// <summary>Takes up a text where an earlier row ended it: what that one chose is neither chosen nor released again.</summary>
    /// <param name="earlier">The tokens that it chose; the window holds them already.</param>
    /// <param name="held">The text that it held back. Only there, and in what follows, are stop strings looked for.</param>
    /// <returns>What is final of the text that was held back: some of it where the stop strings are others.</returns>
    public string Resume(ReadOnlySpan<int> earlier, string held)
    {
        foreach (var token in earlier)
        {
            if (constraint?.TryAppend(token) == false)
                throw new InputException("constraint: the text so far does not match it; give one only together with a new prompt");
            sampler.Observe(token);
            decoder?.Append(token);
        }
        var sure = stops.Append(held);
        text.Append(sure);
        return stops.Stopped ? sure + Finish(FinishReason.StopString) : sure;
    }

    /// <summary>Drops what outgrew the context, where the policy reads the rest again.</summary>
    /// <returns>Whether anything was dropped.</returns>
    public bool Fit()
    {
        if (!Window.Fit()) return false;
        Unread = Window.Count;
        return true;
    }

    /// <summary>Chooses the next token.</summary>
    /// <param name="logits">[V] or more, of which those past the tokens to choose from do not count; overwritten.</param>
    /// <param name="draft">The draft of it, where there is one.</param>
    /// <returns>The token, null if it ended the text, and the text that is final now: often a word, sometimes empty.</returns>
    public (int? Token, string Text) Advance(Span<float> logits, DraftToken draft = default)
    {
        Unread = 0;
        var token = sampler.Next(logits[..vocabularySize], draft);
        if (stopTokens.Contains(token)) return (null, Finish(FinishReason.EndOfText));

        tokens.Add(token);
        Window.Add(token);
        Unread = 1;
        var sure = decoder is null ? "" : stops.Append(decoder.Append(token));
        text.Append(sure);
        return (token, sure + (Limit() is { } reason ? Finish(reason) : ""));
    }

    /// <summary>Ends the row.</summary>
    /// <returns>The text that was held back.</returns>
    public string Finish(FinishReason reason)
    {
        Finished = reason;
        var goesOn = IsContinued && (reason is FinishReason.MaxTokens or FinishReason.Cancelled or FinishReason.ContextFull);
        if (decoder is null || stops.Stopped || goesOn) return "";
        var rest = stops.Append(decoder.Flush()) + stops.Flush();
        text.Append(rest);
        return rest;
    }

    private FinishReason? Limit() =>
        stops.Stopped ? FinishReason.StopString
        : constraint is { IsComplete: true } ? FinishReason.EndOfText
        : tokens.Count == options.MaxTokens ? FinishReason.MaxTokens
        : !Window.CanGoOn ? FinishReason.ContextFull
        : null;
}
