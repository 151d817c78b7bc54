using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Data;

/// <summary>
/// Draws training batches from a text: windows of its tokens. The batch at a position is a function of the seed and the position alone.
/// </summary>
public sealed class BatchSampler : TrainingBatches
{
    private const ulong OffsetStream = 1, PhaseStream = 2, OrderStream = 3;
    private readonly TokenSequence tokens;
    private readonly int batchSize, contextLength;
    private readonly ulong seed;
    private readonly Sampling sampling;

    /// <param name="tokens">The tokens to draw from; at least contextLength + 1.</param>
    /// <param name="batchSize">B, the windows of a batch.</param>
    /// <param name="contextLength">T, the tokens of a window.</param>
    /// <param name="seed">Another seed is another order.</param>
    /// <param name="sampling">How windows are chosen.</param>
    /// <param name="position">The number of batches drawn before; 0 for a new run.</param>
    /// <exception cref="InputException">There are too few tokens for one window.</exception>
    public BatchSampler(TokenSequence tokens, int batchSize, int contextLength, int seed, Sampling sampling, long position = 0)
        : base(position)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(contextLength);
        if (tokens.Length <= contextLength)
        {
            throw new InputException(
                $"{tokens.Length} tokens are too few for a window of {contextLength} and the token after it; " +
                "use a longer text or a smaller model.context_length");
        }
        (this.tokens, this.batchSize, this.contextLength, this.sampling) = (tokens, batchSize, contextLength, sampling);
        this.seed = CounterRandom.Bits((ulong)(uint)seed, 0);
        WindowsPerEpoch = Math.Max(1, (tokens.Length - contextLength) / contextLength);
    }

    /// <summary>The windows of an epoch of shuffled sampling: as many as fit whatever the phase.</summary>
    public long WindowsPerEpoch { get; }

    /// <inheritdoc/>
    /// <exception cref="InputException">The token file is damaged.</exception>
    public override Batch At(long position)
    {
        var offsets = new long[batchSize];
        for (var row = 0; row < batchSize; row++) offsets[row] = Offset(position * batchSize + row);
        return Batch.Read(tokens, offsets, contextLength);
    }

    private long Offset(long window)
    {
        if (sampling == Sampling.Random) return CounterRandom.Below(tokens.Length - contextLength, Key(OffsetStream, 0), (ulong)window);
        var (epoch, index) = Math.DivRem(window, WindowsPerEpoch);
        var phases = Math.Min(contextLength, tokens.Length - WindowsPerEpoch * contextLength);
        var phase = CounterRandom.Below(phases, Key(PhaseStream, 0), (ulong)epoch);
        return phase + new Permutation(WindowsPerEpoch, Key(OrderStream, epoch)).At(index) * contextLength;
    }

    private ulong Key(ulong stream, long epoch) => CounterRandom.Bits(CounterRandom.Bits(seed, stream), (ulong)epoch);
}
