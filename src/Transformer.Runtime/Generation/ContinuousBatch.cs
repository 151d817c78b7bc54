using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>
/// Generates texts that come and go (continuous batching: Yu et al. 2022, Orca): each step adds a token to every text that runs, and
/// between two steps texts join and leave. Long prompts are read in pieces beside them, so that nobody waits for a newcomer (Agrawal et al.
/// 2023, chunked prefill), and a prefix that a slot has read already is not read again.
/// </summary>
/// <remarks>
/// Every text gets the tokens that it would have had alone, as far as a row does not depend on its neighbours: to the last bit on a
/// processor, else to rounding. Methods may be called from any thread, <see cref="Submit"/> also from a callback, the others not; callbacks
/// are called by whoever takes the steps, and one that waits lets all texts wait.
/// </remarks>
public sealed class ContinuousBatch : IDisposable
{
    private readonly InferenceModel model;
    private readonly SequenceState state;
    private readonly TextGenerator generator;
    private readonly int promptTokens;
    private readonly bool readsWhole;

    private readonly Lock stepping = new();

    // What came in from other threads.
    private readonly Lock gate = new();
    private readonly List<BatchSequence> waiting = [];
    private readonly SemaphoreSlim arrivals = new(0);
    private readonly CancellationTokenSource disposal = new();
    private bool isDisposed;

    // Whose text each row of the state holds, also after it ended, and the step in which it was last of use; the slots whose texts run, in
    // the order they came.
    private readonly BatchSequence?[] holders;
    private readonly long[] lastUse;
    private readonly List<int> running = [];

    // Of the constraint last asked for.
    private (TextConstraint? Constraint, TokenMasks? Masks) shared;

    private readonly int[] parts, counts;
    private int[] tokens = [];

    /// <param name="model">The model; it stays the caller's, and is used by nobody else meanwhile.</param>
    /// <param name="slots">How many texts run at once; others wait.</param>
    /// <param name="tokenizer">What the tokens mean; without one texts have tokens only.</param>
    /// <param name="promptTokens">How many tokens of prompts are read in a step at most: fewer let running texts go on sooner, more read
    /// prompts faster.</param>
    public ContinuousBatch(InferenceModel model, int slots, Tokenizer? tokenizer = null, int promptTokens = 128)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(promptTokens, 1);
        (this.model, this.promptTokens) = (model, promptTokens);
        (state, generator) = (model.NewState(slots), new TextGenerator(model, tokenizer));
        (holders, lastUse, parts, counts) = (new BatchSequence?[slots], new long[slots], new int[slots], new int[slots]);
        readsWhole = model.AnglesFollowLength;
    }

    /// <summary>How many steps there were.</summary>
    public long Steps { get; private set; }

    /// <summary>How many tokens the model has read.</summary>
    public long TokensRead { get; private set; }

    /// <summary>How many tokens of prompts it did not have to read.</summary>
    public long TokensReused { get; private set; }

    /// <summary>The tokens of a prompt, as <see cref="TextGenerator.Encode"/>.</summary>
    /// <exception cref="InputException">The text cannot be encoded.</exception>
    public int[] Encode(string prompt) => generator.Encode(prompt);

    /// <summary>Puts a prompt in the queue.</summary>
    /// <param name="prompt">The tokens to continue.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="row">Which of the seed's streams of random numbers, as a row of a <see cref="TextGenerator"/>'s batch.</param>
    /// <param name="onToken">Called with each token as soon as it is chosen.</param>
    /// <param name="onText">Called with each piece of text as soon as that is sure.</param>
    /// <param name="cancellation">Ends the text before the next step.</param>
    /// <returns>The text when it has ended; what a callback throws ends it too.</returns>
    /// <exception cref="InputException">An option is wrong, or the prompt is empty, has a token outside the vocabulary or is longer than
    /// the context.</exception>
    public Task<GeneratedText> Submit(
        int[] prompt, SamplingOptions options, int row = 0, Action<int>? onToken = null, Action<string>? onText = null,
        CancellationToken cancellation = default)
    {
        generator.Check(prompt, options);
        int[] text = [.. prompt];
        var sequence = new BatchSequence(
            text, apart => generator.NewRow(text, options, row, Masks(options.Constraint, apart)), onToken, onText, cancellation);
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

    /// <summary>Adds a token to each text that runs, lets others in, and reads on in their prompts. What goes wrong with the model ends the
    /// texts that run.</summary>
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
        foreach (var slot in running) holders[slot]!.CancelIfAsked();
        running.RemoveAll(slot => holders[slot]!.HasEnded);
        lock (gate)
        {
            foreach (var sequence in waiting) sequence.CancelIfAsked();
            waiting.RemoveAll(sequence => sequence.HasEnded);
        }
    }

    // In the order they came, but for those that wait for what another reads: they hold up nobody.
    private void Admit()
    {
        var passed = 0;
        while (running.Count < holders.Length && WaitingBehind(passed) is { } next)
        {
            var (source, reused, expected) = BestSource(next.Prompt);
            // Another is reading what is half of the prompt or more.
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

    // The slot that has read most of a text's beginning, how much that is, and how much it would be if those that are still being read were
    // there.
    private (int Source, int Reused, int Expected) BestSource(int[] text)
    {
        var (source, reused, expected) = (-1, 0, 0);
        for (var slot = 0; slot < holders.Length && !readsWhole; slot++)
        {
            var found = state.ReusablePrefix(Held(slot), text);
            if (found > reused) (source, reused) = (slot, found);
            if (running.Contains(slot) && Unread(slot).Length > 1)
                expected = Math.Max(expected, state.ReusablePrefix(holders[slot]!.Row.WindowTokens, text));
        }
        return (source, reused, expected);
    }

    // A text goes on in the slot of the one that it continues, where that is free; else it takes the slot that was unused for longest.
    private void Assign(BatchSequence sequence, int source, int reused)
    {
        var free = Enumerable.Range(0, holders.Length).Except(running);
        var goesOn = source >= 0 && reused == state.Lengths[source] && !running.Contains(source);
        var target = goesOn ? source : free.MinBy(slot => lastUse[slot]);
        if (source < 0) state.Clear(target);
        else state.Copy(source, target);
        state.Truncate(target, reused);
        if (source >= 0) lastUse[source] = Steps;
        (holders[target], sequence.Reused) = (sequence, reused);
        running.Add(target);
        TokensReused += reused;
    }

    // What a slot has read.
    private ReadOnlySpan<int> Held(int slot) => holders[slot] is { } holder ? holder.Row.WindowTokens[..state.Lengths[slot]] : [];

    private ReadOnlySpan<int> Unread(int slot) => holders[slot]!.Row.WindowTokens[state.Lengths[slot]..];

    // The last token of each text that runs, and of prompts as many as a step may have.
    private (int Slots, int Tokens) Gather()
    {
        var (live, total, budget) = (0, 0, promptTokens);
        foreach (var slot in running)
        {
            if (holders[slot]!.Row.Slide()) state.Clear(slot);
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
            // Else more of the prompt is to be read.
            if (state.Lengths[slot] == sequence.Row.Window.Count && !sequence.Advance(model.Logits(part))) state.Clear(slot);
        }
        running.RemoveAll(slot => holders[slot]!.HasEnded);
    }

    // How far the pass came is unknown: what their slots hold cannot be used any more.
    private void Abandon(Exception failure)
    {
        foreach (var slot in running)
        {
            holders[slot]!.Fail(failure);
            holders[slot] = null;
        }
        running.Clear();
    }

    // Texts of one constraint share an automaton, which has a work budget. A text for which that did not suffice gets one of its own, and
    // those after it share another.
    private TokenMasks? Masks(TextConstraint? constraint, bool apart)
    {
        if (constraint is null) return null;
        if (apart)
        {
            shared = default;
            return generator.Masks(constraint);
        }
        if (shared.Constraint != constraint) shared = (constraint, generator.Masks(constraint));
        return shared.Masks;
    }

    // The lock would let its own thread in again, in the middle of a pass.
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
