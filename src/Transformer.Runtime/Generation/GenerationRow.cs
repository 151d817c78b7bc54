using System.Runtime.InteropServices;
using System.Text;
using Transformer.Generation.Constraints;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>One sequence of a batch while it is generated.</summary>
internal sealed class GenerationRow
{
    private readonly SamplingOptions options;
    private readonly Tokenizer? tokenizer;
    private readonly int contextLength, vocabularySize;
    private readonly TokenSampler sampler;
    private readonly TokenConstraint? constraint;
    private readonly StreamingDecoder? decoder;
    private readonly StopScanner stops;
    private readonly StringBuilder text = new();
    private readonly List<int> tokens = [], window;
    private readonly IReadOnlyList<int> stopTokens;

    /// <param name="options">How tokens are chosen.</param>
    /// <param name="row">Its number in the batch.</param>
    /// <param name="prompt">At least one token.</param>
    /// <param name="contextLength">The greatest number of tokens that the model sees.</param>
    /// <param name="vocabularySize">The number of tokens to choose from.</param>
    /// <param name="tokenizer">What the tokens mean; without one the row has tokens only.</param>
    /// <param name="masks">The constraint of the text; none where null.</param>
    public GenerationRow(
        SamplingOptions options, int row, int[] prompt, int contextLength, int vocabularySize, Tokenizer? tokenizer,
        TokenMasks? masks = null)
    {
        (this.options, this.tokenizer, this.contextLength, this.vocabularySize, window) = (
            options, tokenizer, contextLength, vocabularySize, [.. prompt]);
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
    public IReadOnlyList<int> Window => window;

    /// <summary>As <see cref="Window"/>, as a span that is valid until the next token.</summary>
    public ReadOnlySpan<int> WindowTokens => CollectionsMarshal.AsSpan(window);

    /// <summary>
    /// How many of the window's last tokens the model has not read yet: all of them before the first step and after the window was cut.
    /// </summary>
    public int Unread { get; private set; }

    /// <summary>Those tokens, the last of <see cref="Window"/>.</summary>
    public ReadOnlySpan<int> UnreadTokens => WindowTokens[^Unread..];

    /// <summary>How many tokens may still be chosen.</summary>
    public int Remaining => options.MaxTokens - tokens.Count;

    /// <summary>Why the row has ended; null while it has not.</summary>
    public FinishReason? Finished { get; private set; }

    /// <summary>The result so far.</summary>
    public GeneratedText Result => new(text.ToString(), tokens, Finished!.Value);

    /// <summary>Cuts the window to its newest half context once it has outgrown the context.</summary>
    /// <returns>Whether it was cut.</returns>
    public bool Slide()
    {
        if (window.Count <= contextLength) return false;
        window.RemoveRange(0, window.Count - Math.Max(1, contextLength / 2));
        Unread = window.Count;
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
        window.Add(token);
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
        if (decoder is null || stops.Stopped) return "";
        var rest = stops.Append(decoder.Flush()) + stops.Flush();
        text.Append(rest);
        return rest;
    }

    private FinishReason? Limit() =>
        stops.Stopped ? FinishReason.StopString
        : constraint is { IsComplete: true } ? FinishReason.EndOfText
        : tokens.Count == options.MaxTokens ? FinishReason.MaxTokens
        : null;
}
