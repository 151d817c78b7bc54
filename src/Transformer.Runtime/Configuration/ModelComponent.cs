namespace Transformer.Configuration;

/// <summary>The kinds of components that parameters are counted by, in the order of a token's way through the model.</summary>
public enum ModelComponent
{
    /// <summary>The vectors of the tokens.</summary>
    Embedding,

    /// <summary>What reads pictures, and the keys and values of cross-attention to them.</summary>
    Vision,

    /// <summary>What positions learn.</summary>
    Positions,

    /// <summary>The mixers of all blocks.</summary>
    Attention,

    /// <summary>Their feed-forward layers.</summary>
    Mlp,

    /// <summary>The norms of all sub-layers and the last one.</summary>
    Norms,

    /// <summary>The residuals' own numbers.</summary>
    Residuals,

    /// <summary>Memory tokens, and what blocks learn to write and read memory.</summary>
    Memory,

    /// <summary>What leads into hourglasses and out of them.</summary>
    Hourglasses,

    /// <summary>The map to the logits, where it is not the embedding.</summary>
    Head,
}
