namespace Transformer.Generation;

/// <summary>What the model goes on seeing of a text that is longer than its context of T tokens.</summary>
public enum ContextPolicy
{
    /// <summary>The last T / 2 tokens, read again; then the window grows until it is full again.</summary>
    Slide,

    /// <summary>
    /// The first four tokens and the last T - 4 (attention sinks: Xiao et al. 2023, arXiv:2309.17453). Positions count places in the cache.
    /// </summary>
    Sinks,

    /// <summary>The first turn and as many of the last ones as fit, whole; turns begin with lines <c>role: text</c>.</summary>
    Turns,

    /// <summary>Nothing is dropped: the text ends where the context is full.</summary>
    Stop,
}
