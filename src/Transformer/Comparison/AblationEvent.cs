namespace Transformer.Comparison;

/// <summary>What happens during an ablation.</summary>
public abstract record AblationEvent
{
    /// <summary>A run begins.</summary>
    /// <param name="Cell">The run.</param>
    public sealed record Began(AblationCell Cell) : AblationEvent;

    /// <summary>A run has ended.</summary>
    /// <param name="Cell">The run.</param>
    /// <param name="Result">How.</param>
    /// <param name="Done">How many runs have ended.</param>
    /// <param name="Runs">How many there are; of a sweep, those that are known so far.</param>
    public sealed record Ended(AblationCell Cell, CellResult Result, int Done, int Runs) : AblationEvent;

    /// <summary>A design has its best value of what is swept.</summary>
    /// <param name="Choice">The value.</param>
    public sealed record Chosen(SweepChoice Choice) : AblationEvent;
}
