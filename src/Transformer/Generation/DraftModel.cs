using System.Runtime.InteropServices;
using Transformer.Inference.Cpu;

namespace Transformer.Generation;

// V vocabulary · K guesses

/// <summary>
/// DraftTokens how a text goes on by a smaller model (Leviathan et al. 2023; Chen et al. 2023), each guess drawn from what that model expects after the ones
/// before. A text longer than its context gets none.
/// </summary>
internal sealed class DraftModel : Proposer
{
    private readonly CpuInferenceModel engine;
    private readonly CpuSequenceState state;
    private readonly TokenSampler sampler;
    private readonly int vocabularySize;
    private readonly float[] probabilities;    // [K, V]
    private readonly List<int> held = [];      // the tokens of row 0
    private readonly int guessing;

    /// <param name="engine">The smaller model; it stays the caller's.</param>
    /// <param name="options">How the text's tokens are chosen: guesses are likeliest to be kept where they are drawn in the same way.</param>
    /// <param name="vocabularySize">V.</param>
    /// <param name="guesses">K, the most guesses of a call.</param>
    public DraftModel(CpuInferenceModel engine, SamplingOptions options, int vocabularySize, int guesses)
    {
        (this.engine, this.vocabularySize, probabilities) = (engine, vocabularySize, new float[guesses * vocabularySize]);
        // A stream of random numbers of its own: those that verify a guess must not know those that drew it.
        sampler = new TokenSampler(options, vocabularySize, row: -1);
        // Where the state cannot forget guesses, a copy of it takes them.
        state = engine.NewState(rows: 2);
        guessing = state.CanTruncate ? 0 : 1;
    }

    /// <inheritdoc/>
    public override int Propose(ReadOnlySpan<int> text, Span<int> guesses)
    {
        var count = Math.Min(guesses.Length, state.Capacity - text.Length + 1);
        if (count < 1) return 0;
        Read(text);
        state.Copy(from: 0, to: guessing);
        for (var guess = 0; ; guess++)
        {
            guesses[guess] = sampler.Propose(engine.LogitsOf(0)[..vocabularySize], Row(guess));
            if (guess + 1 == count) return count;
            engine.Read(state, [guessing], [1], guesses.Slice(guess, 1));
            if (guessing == 0) held.Add(guesses[guess]);
        }
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<float> ProbabilitiesOf(int guess) => Row(guess);

    private void Read(ReadOnlySpan<int> text)
    {
        var reused = state.CommonPrefix(CollectionsMarshal.AsSpan(held), text);
        state.Truncate(0, reused);
        held.RemoveRange(reused, held.Count - reused);
        held.AddRange(text[reused..]);
        engine.Read(state, [0], [text.Length - reused], text[reused..]);
    }

    private Span<float> Row(int guess) => probabilities.AsSpan(guess * vocabularySize, vocabularySize);

    /// <inheritdoc/>
    public override void Dispose() => state.Dispose();
}
