using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Generation;

// T tokens

/// <summary>
/// The tokens of a text that the model sees, or will when it has read them: all of them or, where they are more than the context of T, what
/// the policy keeps, which is always a head of the text and its tail.
/// </summary>
internal sealed class ContextWindow
{
    /// <summary>The first tokens that <see cref="ContextPolicy.Sinks"/> keeps.</summary>
    public const int Sinks = 4;

    private readonly List<int> tokens;
    private readonly Tokenizer? tokenizer;

    /// <param name="tokens">The tokens, at least one.</param>
    /// <param name="capacity">T.</param>
    /// <param name="policy">What is kept.</param>
    /// <param name="tokenizer">What the tokens mean; needed by <see cref="ContextPolicy.Turns"/>.</param>
    public ContextWindow(IEnumerable<int> tokens, int capacity, ContextPolicy policy, Tokenizer? tokenizer)
    {
        (this.tokens, Capacity, Policy, this.tokenizer) = ([.. tokens], capacity, policy, tokenizer);
        Head = this.tokens.Count;
    }

    /// <summary>T.</summary>
    public int Capacity { get; }

    /// <summary>What is kept.</summary>
    public ContextPolicy Policy { get; }

    /// <summary>The tokens, valid until the next change.</summary>
    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(tokens);

    /// <summary>How many there are.</summary>
    public int Count => tokens.Count;

    /// <summary>Whether they are more than the model can see.</summary>
    public bool IsTooLong => tokens.Count > Capacity;

    /// <summary>How many tokens were dropped.</summary>
    public int DroppedTokens { get; private set; }

    /// <summary>How many turns were dropped.</summary>
    public int DroppedTurns { get; private set; }

    /// <summary>How many of the window's tokens stand before those that were dropped; all where none was.</summary>
    public int Head { get; private set; }

    /// <summary>Takes up a text, of which this has all tokens, where some were dropped before.</summary>
    /// <param name="head">How many of its tokens the window begins with.</param>
    /// <param name="count">How many it has: those of the head and the last ones.</param>
    /// <param name="turns">How many turns were dropped.</param>
    public void Resume(int head, int count, int turns)
    {
        if (count < tokens.Count) Drop(head, tokens.Count - count);
        DroppedTurns = turns;
    }

    /// <summary>Appends a token.</summary>
    public void Add(int token)
    {
        tokens.Add(token);
        if (DroppedTokens == 0) Head++;
    }

    /// <summary>Whether the policy has a way on from here.</summary>
    public bool CanGoOn => !IsTooLong || Policy is ContextPolicy.Slide or ContextPolicy.Sinks
        || (Policy == ContextPolicy.Turns && new Turns(Tokens, tokenizer!).Fit(Capacity) is not null);

    /// <summary>Drops what does not fit, where the rest is to be read again. Sinks drop token by token while the text is read.</summary>
    /// <returns>Whether anything was dropped.</returns>
    public bool Fit()
    {
        if (!IsTooLong) return false;
        switch (Policy)
        {
            case ContextPolicy.Slide:
                Drop(0, tokens.Count - Math.Max(1, Capacity / 2));
                return true;
            case ContextPolicy.Turns when new Turns(Tokens, tokenizer!).Fit(Capacity) is var (first, count, turns):
                Drop(first, count);
                DroppedTurns += turns;
                return true;
            default:
                return false;
        }
    }

    /// <summary>Drops tokens.</summary>
    public void Drop(int first, int count)
    {
        tokens.RemoveRange(first, count);
        (Head, DroppedTokens) = (first, DroppedTokens + count);
    }

    /// <summary>Throws if a prompt cannot be read under a policy.</summary>
    /// <param name="prompt">The tokens.</param>
    /// <param name="capacity">T.</param>
    /// <param name="policy">The policy that was asked for, if any.</param>
    /// <param name="tokenizer">What the tokens mean.</param>
    /// <param name="name">What messages call the prompt.</param>
    /// <param name="canChoose">Whether a message may advise another policy.</param>
    /// <exception cref="InputException">It does not fit.</exception>
    public static void Check(
        ReadOnlySpan<int> prompt, int capacity, ContextPolicy? policy, Tokenizer? tokenizer, string name, bool canChoose)
    {
        if (policy == ContextPolicy.Turns && tokenizer is null)
            throw new InputException("context policy: turns are found in text, and this generator has no tokenizer");
        if (policy == ContextPolicy.Sinks && capacity <= Sinks + 1)
            throw new InputException($"context policy: sinks keep {Sinks} tokens, and the context has {capacity}; take slide");
        if (prompt.Length <= capacity || policy is ContextPolicy.Slide or ContextPolicy.Sinks) return;
        var tooLong = $"{name}: {prompt.Length} tokens do not fit the context length of {capacity}";
        if (policy != ContextPolicy.Turns)
            throw new InputException(
                $"{tooLong}. Shorten it to {capacity} or fewer" +
                (canChoose ? ", or choose what is kept of it: --context-policy slide, sinks or turns." : "."));
        var turns = new Turns(prompt, tokenizer!);
        if (turns.Fit(capacity) is null)
            throw new InputException(
                $"{tooLong}, and {turns.Obstacle}. {(canChoose ? "Take --context-policy slide or sinks." : "Shorten it.")}");
    }
}
