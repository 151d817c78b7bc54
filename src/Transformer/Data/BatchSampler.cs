using Transformer.Configuration;

namespace Transformer.Data;

/// <summary>
/// Draws training batches. The batch at a position is a function of the seed and the position alone, so a run that continues
/// at <see cref="Position"/> sees the batches that an uninterrupted one would have seen. The next batch is read in the background.
/// </summary>
public sealed class BatchSampler : IDisposable
{
    private const ulong OffsetStream = 1, PhaseStream = 2, OrderStream = 3;
    private readonly TokenSequence tokens;
    private readonly int batchSize, contextLength;
    private readonly ulong seed;
    private readonly Sampling sampling;
    private Task<Batch>? prefetched;

    /// <param name="tokens">What to draw from; at least contextLength + 1 of them.</param>
    /// <param name="batchSize">B, the windows of a batch.</param>
    /// <param name="contextLength">T, the tokens of a window.</param>
    /// <param name="seed">Another seed is another order.</param>
    /// <param name="sampling">How windows are chosen.</param>
    /// <param name="position">The number of batches drawn before; 0 for a new run.</param>
    /// <exception cref="InputException">There are too few tokens for one window.</exception>
    public BatchSampler(TokenSequence tokens, int batchSize, int contextLength, int seed, Sampling sampling, long position = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(contextLength);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        if (tokens.Length <= contextLength)
        {
            throw new InputException(
                $"{tokens.Length} tokens are too few for a window of {contextLength} and the token after it; " +
                "use a longer text or a smaller model.context_length");
        }
        (this.tokens, this.batchSize, this.contextLength, this.sampling, Position) = (tokens, batchSize, contextLength, sampling, position);
        this.seed = CounterRandom.Bits((ulong)(uint)seed, 0);
        WindowsPerEpoch = Math.Max(1, (tokens.Length - contextLength) / contextLength);
    }

    /// <summary>The number of batches drawn: the cursor to save and to continue from.</summary>
    public long Position { get; private set; }

    /// <summary>The windows that shuffled sampling draws before it begins a new order. Whatever the phase, they all fit.</summary>
    public long WindowsPerEpoch { get; }

    /// <summary>The next batch.</summary>
    /// <exception cref="InputException">The token file is damaged.</exception>
    public Batch Next()
    {
        var batch = prefetched is null ? At(Position) : prefetched.GetAwaiter().GetResult();
        var next = ++Position;
        prefetched = Task.Run(() => At(next));
        return batch;
    }

    /// <summary>The batch at a position, without moving there.</summary>
    public Batch At(long position)
    {
        var offsets = new long[batchSize];
        for (var row = 0; row < batchSize; row++) offsets[row] = Offset(position * batchSize + row);
        return Batch.Read(tokens, offsets, contextLength);
    }

    /// <summary>Waits for the batch that is being read in the background.</summary>
    public void Dispose()
    {
        // A read that failed has nobody left to tell.
        prefetched?.ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        prefetched = null;
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
