using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>
/// Generates texts that join and leave at any time (continuous batching: Yu et al. 2022, Orca): each step adds a token to every running
/// text, and texts join and leave between steps. Long prompts are read in chunks beside them, so that running texts are not held up
/// (Agrawal et al. 2023, chunked prefill), and a prefix that a slot holds already is not read again.
/// </summary>
/// <remarks>
/// Every text gets the tokens that it would get alone, as far as a row does not depend on the others of its batch: bit-identically with the
/// CPU kernels, else to rounding. Methods may be called from any thread, but only <see cref="Submit"/> from a callback. Callbacks run on
/// the thread that takes the steps: one that blocks holds up all texts.
/// </remarks>
public sealed class ContinuousBatch : IDisposable
{
    private readonly InferenceModel model;
    private readonly SequenceState state;
    private readonly TextGenerator generator;
    private readonly int promptTokens;
    private readonly bool readsWhole;

    private readonly Lock stepping = new();

    // Prompts submitted by any thread.
    private readonly Lock gate = new();
    private readonly List<BatchSequence> waiting = [];
    private readonly SemaphoreSlim arrivals = new(0);
    private readonly CancellationTokenSource disposal = new();
    private bool isDisposed;

    // The text that each row of the state holds, also after it has ended, and the step in which it was last used; the
    // slots whose texts run, in order of arrival.
    private readonly BatchSequence?[] holders;
    private readonly long[] lastUse;
    private readonly List<int> running = [];

    // Of the constraint used last.
    private (TextConstraint? Constraint, TokenMasks? Masks) shared;

    private readonly int[] parts, counts;
    private int[] tokens = [];

    /// <param name="model">The model; it stays the caller's, who must not use it meanwhile.</param>
    /// <param name="slots">How many texts run at once; others wait.</param>
    /// <param name="tokenizer">What the tokens mean; without one the results have tokens only.</param>
    /// <param name="promptTokens">The most tokens of prompts that a step reads: fewer delay running
    /// texts less, more read prompts faster.</param>
    public ContinuousBatch(InferenceModel model, int slots, Tokenizer? tokenizer = null, int promptTokens = 128)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(promptTokens, 1);
        (this.model, this.promptTokens) = (model, promptTokens);
        (state, generator) = (model.NewState(slots), new TextGenerator(model, tokenizer));
        (holders, lastUse, parts, counts) = (new BatchSequence?[slots], new long[slots], new int[slots], new int[slots]);
        readsWhole = model.AnglesFollowLength;
    }

    /// <summary>The number of steps so far.</summary>
    public long Steps { get; private set; }

    /// <summary>The number of tokens that the model has read.</summary>
    public long TokensRead { get; private set; }

    /// <summary>The number of tokens of prompts that did not have to be read.</summary>
    public long TokensReused { get; private set; }

    /// <summary>The tokens of a prompt, as <see cref="TextGenerator.Encode"/>.</summary>
    /// <exception cref="InputException">The text cannot be encoded.</exception>
    public int[] Encode(string prompt) => generator.Encode(prompt);

    /// <summary>Puts a prompt in the queue.</summary>
    /// <param name="prompt">The tokens to continue.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="row">Which of the seed's streams of random numbers, as a row of a <see cref="TextGenerator"/>'s batch.</param>
    /// <param name="onToken">Called with each token as soon as it is chosen.</param>
    /// <param name="onText">Called with each piece of text as soon as it is final.</param>
    /// <param name="cancellation">Ends the text before the next step.</param>
    /// <returns>The finished text. An exception in a callback ends it too.</returns>
    /// <exception cref="InputException">An option is wrong, or the prompt is empty, has a token outside the vocabulary or is longer than
    /// the context.</exception>
    public Task<GeneratedText> Submit(
        int[] prompt, SamplingOptions options, int row = 0, Action<int>? onToken = null, Action<string>? onText = null,
        CancellationToken cancellation = default)
    {
        generator.Check(prompt, options);
        int[] text = [.. prompt];
        var sequence = new BatchSequence(
            text,
            ownAutomaton => generator.NewRow(text, options, row, Masks(options.Constraint, ownAutomaton)),
            onToken,
            onText,
            cancellation);
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            waiting.Add(sequence);
            arrivals.Release();
        }
        return sequence.Text;
    }

    /// <summary>Takes steps, and waits for prompts where there are none, until cancelled or disposed.</summary>
    /// <exception cref="InvalidOperationException">It is called from a callback.</exception>
    public void Run(CancellationToken cancellation)
    {
        try
        {
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation, disposal.Token);
            while (!ended.IsCancellationRequested)
                if (!Step()) arrivals.Wait(ended.Token);
        }
        catch (OperationCanceledException)
        {
        }
        catch (ObjectDisposedException) when (isDisposed)
        {
        }
    }

    /// <summary>
    /// Adds a token to each running text, starts waiting ones, and reads the next tokens of their prompts. An
    /// error of the model ends all running texts.
    /// </summary>
    /// <returns>Whether there is more to do.</returns>
    /// <exception cref="InvalidOperationException">It is called from a callback.</exception>
    public bool Step()
    {
        RefuseWithinStep();
        lock (stepping)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            RemoveCancelled();
            Admit();
            var (live, total) = Gather();
            if (live > 0) Read(live, total);
            lock (gate) return running.Count + waiting.Count > 0;
        }
    }

    private void RemoveCancelled()
    {
        foreach (var slot in running) holders[slot]!.CancelIfRequested();
        running.RemoveAll(slot => holders[slot]!.HasEnded);
        lock (gate)
        {
            foreach (var sequence in waiting) sequence.CancelIfRequested();
            waiting.RemoveAll(sequence => sequence.HasEnded);
        }
    }

    // In order of arrival, except for those that wait for a prefix that another text is reading: they hold up no other.
    private void Admit()
    {
        var passed = 0;
        while (running.Count < holders.Length && WaitingBehind(passed) is { } next)
        {
            var (source, reused, expected) = BestSource(next.Prompt);
            // Another text is reading half of this prompt or more.
            if (expected > reused && 2 * expected >= next.Prompt.Length)
            {
                passed++;
                continue;
            }
            lock (gate) waiting.RemoveAt(passed);
            next.Begin();
            if (!next.HasEnded) Assign(next, source, reused);
        }
    }

    private BatchSequence? WaitingBehind(int passed)
    {
        lock (gate) return waiting.ElementAtOrDefault(passed);
    }

    // The slot that holds the longest prefix of a text, the length of that prefix, and its length once the
    // prompts that are being read are complete.
    private (int Source, int Reused, int Expected) BestSource(int[] text)
    {
        var (source, reused, expected) = (-1, 0, 0);
        for (var slot = 0; slot < holders.Length && !readsWhole; slot++)
        {
            var found = state.ReusablePrefix(Held(slot), text);
            if (found > reused) (source, reused) = (slot, found);
            if (running.Contains(slot) && Unread(slot).Length > 1)
                expected = Math.Max(expected, state.ReusablePrefix(holders[slot]!.Row.Window.Tokens, text));
        }
        return (source, reused, expected);
    }

    // A text takes the slot of the text that it continues, if that is free, else the least recently used one.
    private void Assign(BatchSequence sequence, int source, int reused)
    {
        var free = Enumerable.Range(0, holders.Length).Except(running);
        var continues = source >= 0 && reused == state.Lengths[source] && !running.Contains(source);
        var target = continues ? source : free.MinBy(slot => lastUse[slot]);
        if (source < 0) state.Clear(target);
        else state.Copy(source, target);
        state.Truncate(target, reused);
        if (source >= 0) lastUse[source] = Steps;
        (holders[target], sequence.Reused) = (sequence, reused);
        running.Add(target);
        TokensReused += reused;
    }

    // The tokens that a slot holds.
    private ReadOnlySpan<int> Held(int slot) => holders[slot] is { } holder ? holder.Row.Window.Tokens[..state.Lengths[slot]] : [];

    private ReadOnlySpan<int> Unread(int slot) => holders[slot]!.Row.Window.Tokens[state.Lengths[slot]..];

    // The last token of each running text, and as many tokens of prompts as a step may read.
    private (int Slots, int Tokens) Gather()
    {
        var (live, total, budget) = (0, 0, promptTokens);
        foreach (var slot in running)
        {
            if (holders[slot]!.Row.Fit()) state.Clear(slot);
            var unread = Unread(slot);
            var count = unread.Length == 1 || readsWhole ? unread.Length : Math.Min(unread.Length, budget);
            if (count == 0) continue;
            if (unread.Length > 1) budget = Math.Max(0, budget - count);
            if (tokens.Length < total + count) Array.Resize(ref tokens, 2 * (total + count));
            unread[..count].CopyTo(tokens.AsSpan(total));
            (parts[live], counts[live], lastUse[slot]) = (slot, count, Steps);
            (live, total) = (live + 1, total + count);
        }
        return (live, total);
    }

    private void Read(int live, int total)
    {
        try
        {
            model.Read(state, parts.AsSpan(0, live), counts.AsSpan(0, live), tokens.AsSpan(0, total));
        }
        catch (Exception e)
        {
            Abandon(e);
            return;
        }
        (Steps, TokensRead) = (Steps + 1, TokensRead + total);
        for (var part = 0; part < live; part++)
        {
            var (slot, sequence) = (parts[part], holders[parts[part]]!);
            // Else there is more of the prompt to read.
            if (state.Lengths[slot] == sequence.Row.Window.Count && !sequence.Advance(model.Logits(part))) state.Clear(slot);
        }
        running.RemoveAll(slot => holders[slot]!.HasEnded);
    }

    // How far the pass came is unknown, so that the contents of these slots can no longer be used.
    private void Abandon(Exception failure)
    {
        foreach (var slot in running)
        {
            holders[slot]!.Fail(failure);
            holders[slot] = null;
        }
        running.Clear();
    }

    // Texts of one constraint share an automaton, which has a work budget. A text that exhausts it restarts with one of
    // its own, and later texts share a new one.
    private TokenMasks? Masks(TextConstraint? constraint, bool ownAutomaton)
    {
        if (constraint is null) return null;
        if (ownAutomaton)
        {
            shared = default;
            return generator.Masks(constraint);
        }
        if (shared.Constraint != constraint) shared = (constraint, generator.Masks(constraint));
        return shared.Masks;
    }

    // The lock is reentrant: without this check its own thread would enter in the middle of a pass.
    private void RefuseWithinStep()
    {
        if (stepping.IsHeldByCurrentThread)
            throw new InvalidOperationException("a callback may submit prompts, but neither take steps nor dispose the batch");
    }

    /// <summary>Ends all texts as cancelled, and <see cref="Run"/>.</summary>
    /// <exception cref="InvalidOperationException">It is called from a callback.</exception>
    public void Dispose()
    {
        RefuseWithinStep();
        lock (stepping)
        {
            lock (gate)
            {
                if (isDisposed) return;
                isDisposed = true;
            }
            foreach (var sequence in running.Select(slot => holders[slot]!).Concat(waiting)) sequence.Cancel();
            disposal.Cancel();
            disposal.Dispose();
            arrivals.Dispose();
            state.Dispose();
        }
    }
}
