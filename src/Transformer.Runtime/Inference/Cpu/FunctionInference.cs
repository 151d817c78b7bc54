namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>What a sub-layer computes between its norms: a mixer, attention to other vectors, or a feed-forward layer.</summary>
internal abstract class FunctionInference
{
    /// <summary>The state of rows that have no tokens yet; null for a function that carries nothing from token to token.</summary>
    /// <param name="rows">How many rows.</param>
    /// <param name="length">The most tokens of a row.</param>
    public abstract MixerState? NewState(int rows, int length);

    /// <summary>y = f(x), into the buffer that the function was made with. Advances the state.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="x">[N, C]; kept, but its 8-bit form may be made.</param>
    /// <param name="state">The block's state.</param>
    public abstract void Run(TokenBatch batch, Activations x, MixerState state);
}
