namespace Transformer.Model;

/// <summary>The changes of a state outside of a pass.</summary>
internal enum StateChangeKind
{
    /// <summary>A row ends its text.</summary>
    Clear,

    /// <summary>A row becomes equal to another.</summary>
    Copy,

    /// <summary>A row drops its last tokens.</summary>
    Truncate,

    /// <summary>A row begins its next segment.</summary>
    Carry,

    /// <summary>The state ends.</summary>
    Dispose,
}
