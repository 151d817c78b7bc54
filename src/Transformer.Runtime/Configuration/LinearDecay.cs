namespace Transformer.Configuration;

/// <summary>How the matrix of linear attention forgets from token to token.</summary>
public enum LinearDecay
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>By a constant of the head, 1 - 2^(-5-h) for head h (Sun et al. 2023, RetNet).</summary>
    Constant,

    /// <summary>By a number for each component of the key, computed from the token (Yang et al. 2023, gated linear attention).</summary>
    Component,

    /// <summary>By exp(-rate step), a rate for each head and a step in time computed from the token (Dao and Gu 2024, Mamba-2).</summary>
    Step,
}
