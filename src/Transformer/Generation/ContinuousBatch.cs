using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Inference.Cpu;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>
/// Writes texts that come and go (continuous batching: Yu et al. 2022, Orca): each step adds a token to every text that runs, and between two steps texts join and
/// leave. Long prompts are read in pieces beside them, so that nobody waits for a newcomer (Agrawal et al. 2023, chunked prefill), and what a place has read
/// already of a text that begins alike is not read again.
/// </summary>
/// <remarks>
/// Every text gets the tokens that it would have had alone. Methods may be called from any thread, <see cref="Submit"/> also from a callback, the others not; callbacks
/// are called by whoever takes the steps, and one that waits lets all texts wait.
/// </remarks>
public sealed class ContinuousBatch : IDisposable
{
    private readonly CpuInferenceModel engine;
    private readonly CpuSequenceState state;
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

    // Whose text each place of the state holds, also after it ended, and the step in which it was last of use; the places whose texts run, in the order they came.
    private readonly BatchSequence?[] holders;
    private readonly long[] lastUse;
    private readonly List<int> running = [];

    // Of the constraint last asked for.
    private (TextConstraint? Constraint, TokenMasks? Masks) shared;

    private readonly int[] parts, counts;
    private int[] tokens = [];

    /// <param name="engine">The model; it stays the caller's, and is used by nobody else meanwhile.</param>
    /// <param name="slots">How many texts run at once; others wait. Places take memory only as far as they are filled.</param>
    /// <param name="tokenizer">What the tokens mean; without one texts have tokens only.</param>
    /// <param name="promptTokens">How many tokens of prompts are read in a step at most: fewer let running texts go on sooner, more read prompts faster.</param>
    public ContinuousBatch(CpuInferenceModel engine, int slots, Tokenizer? tokenizer = null, int promptTokens = 128)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(promptTokens, 1);
        (this.engine, this.promptTokens, state, generator) = (engine, promptTokens, engine.NewState(slots), new TextGenerator(engine, tokenizer));
        (holders, lastUse, parts, counts) = (new BatchSequence?[slots], new long[slots], new int[slots], new int[slots]);
        // A pass turns its tokens by the angles of its last one: in pieces a prompt would become another.
        readsWhole = engine.Config.Position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig };
    }

    /// <summary>How many steps there were.</summary>
    public long Steps { get; private set; }

    /// <summary>How many tokens the model has read.</summary>
    public long TokensRead { get; private set; }

    /// <summary>How many tokens of prompts it needed not read.</summary>
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
    /// <exception cref="InputException">An option is wrong, or the prompt is empty, has a token outside the vocabulary or is longer than the context.</exception>
    public Task<GeneratedText> Submit(
        int[] prompt, SamplingOptions options, int row = 0, Action<int>? onToken = null, Action<string>? onText = null, CancellationToken cancellation = default)
    {
        generator.Check(prompt, options);
        int[] text = [.. prompt];
        var sequence = new BatchSequence(text, apart => generator.NewRow(text, options, row, Masks(options.Constraint, apart)), onToken, onText, cancellation);
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

    /// <summary>Adds a token to each text that runs, lets others in, and reads on in their prompts. What goes wrong with the model ends the texts that run.</summary>
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
        foreach (var place in running) holders[place]!.CancelIfAsked();
        running.RemoveAll(place => holders[place]!.HasEnded);
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
            if (!next.HasEnded) Place(next, source, reused);
        }
    }

    private BatchSequence? WaitingBehind(int passed)
    {
        lock (gate) return waiting.ElementAtOrDefault(passed);
    }

    // The place that has read most of a text's beginning, how much that is, and how much it would be if those that are still being read were there.
    private (int Source, int Reused, int Expected) BestSource(int[] text)
    {
        var (source, reused, expected) = (-1, 0, 0);
        for (var place = 0; place < holders.Length && !readsWhole; place++)
        {
            var found = state.CommonPrefix(Held(place), text);
            if (found > reused) (source, reused) = (place, found);
            if (running.Contains(place) && Unread(place).Length > 1) expected = Math.Max(expected, state.CommonPrefix(holders[place]!.Row.WindowTokens, text));
        }
        return (source, reused, expected);
    }

    // A text goes on in the place of the one that it continues, where that is free; else it takes the place that was of no use for longest.
    private void Place(BatchSequence sequence, int source, int reused)
    {
        var free = Enumerable.Range(0, holders.Length).Except(running);
        var target = source >= 0 && reused == state.Lengths[source] && !running.Contains(source) ? source : free.MinBy(place => lastUse[place]);
        if (source < 0) state.Clear(target);
        else state.Copy(source, target);
        state.Truncate(target, reused);
        if (source >= 0) lastUse[source] = Steps;
        (holders[target], sequence.Reused) = (sequence, reused);
        running.Add(target);
        TokensReused += reused;
    }

    // What a place has read.
    private ReadOnlySpan<int> Held(int place) => holders[place] is { } holder ? holder.Row.WindowTokens[..state.Lengths[place]] : [];

    private ReadOnlySpan<int> Unread(int place) => holders[place]!.Row.WindowTokens[state.Lengths[place]..];

    // The last token of each text that runs, and of prompts as many as a step may have.
    private (int Places, int Tokens) Gather()
    {
        var (live, total, budget) = (0, 0, promptTokens);
        foreach (var place in running)
        {
            if (holders[place]!.Row.Slide()) state.Clear(place);
            var unread = Unread(place);
            var count = unread.Length == 1 || readsWhole ? unread.Length : Math.Min(unread.Length, budget);
            if (count == 0) continue;
            if (unread.Length > 1) budget = Math.Max(0, budget - count);
            if (tokens.Length < total + count) Array.Resize(ref tokens, 2 * (total + count));
            unread[..count].CopyTo(tokens.AsSpan(total));
            (parts[live], counts[live], lastUse[place]) = (place, count, Steps);
            (live, total) = (live + 1, total + count);
        }
        return (live, total);
    }

    private void Read(int live, int total)
    {
        try
        {
            engine.Read(state, parts.AsSpan(0, live), counts.AsSpan(0, live), tokens.AsSpan(0, total));
        }
        catch (Exception e)
        {
            Abandon(e);
            return;
        }
        (Steps, TokensRead) = (Steps + 1, TokensRead + total);
        for (var part = 0; part < live; part++)
        {
            var (place, sequence) = (parts[part], holders[parts[part]]!);
            // Else more of the prompt is to be read.
            if (state.Lengths[place] == sequence.Row.Window.Count && !sequence.Advance(engine.LogitsOf(part))) state.Clear(place);
        }
        running.RemoveAll(place => holders[place]!.HasEnded);
    }

    // Nobody knows how far the pass came: what their places hold is of no use any more.
    private void Abandon(Exception failure)
    {
        foreach (var place in running)
        {
            holders[place]!.Fail(failure);
            holders[place] = null;
        }
        running.Clear();
    }

    // Texts of one constraint share what has been worked out of it. As an automaton may do only so much in its life, a text for which that did not suffice gets one of
    // its own, and those after it share another.
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

    // The lock would let its own thread in again, in the midst of a pass.
    private void RefuseWithinStep()
    {
        if (stepping.IsHeldByCurrentThread) throw new InvalidOperationException("a callback may submit prompts, but neither take steps nor dispose the batch");
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
            foreach (var sequence in running.Select(place => holders[place]!).Concat(waiting)) sequence.Cancel();
            disposal.Cancel();
            disposal.Dispose();
            arrivals.Dispose();
            state.Dispose();
        }
    }
}
