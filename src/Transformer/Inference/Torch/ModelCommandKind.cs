namespace Transformer.Inference.Torch;

/// <summary>What rank 0 asks of the ranks that share a model with it.</summary>
internal enum ModelCommandKind
{
    /// <summary>To stop following.</summary>
    End,

    /// <summary>To make a state.</summary>
    NewState,

    /// <summary>To take part in a pass.</summary>
    Read,

    /// <summary>To clear a row.</summary>
    Clear,

    /// <summary>To copy a row.</summary>
    Copy,

    /// <summary>To truncate a row.</summary>
    Truncate,

    /// <summary>To begin a row's next segment.</summary>
    Carry,

    /// <summary>To end a state.</summary>
    DisposeState,
}
