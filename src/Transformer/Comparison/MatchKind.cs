namespace Transformer.Comparison;

/// <summary>What designs are made equal in before they are compared.</summary>
public enum MatchKind
{
    /// <summary>Nothing: what differs is reported.</summary>
    None,

    /// <summary>The number of parameters, within 1 %.</summary>
    Parameters,

    /// <summary>The operations of training on a token, within 1 %.</summary>
    Flops,

    /// <summary>The measured time of a step, within 5 %.</summary>
    Time,
}
