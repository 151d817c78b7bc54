namespace Transformer.Inference.Cpu;

// D head width

/// <summary>What is added to the scaled scores of a query's keys.</summary>
internal abstract unsafe class AttentionBias
{
    /// <summary>How many numbers of scratch memory <see cref="Add"/> needs.</summary>
    public virtual int Scratch => 0;

    /// <summary>Adds to the scores of a query's keys.</summary>
    /// <param name="query">Where the query stands.</param>
    /// <param name="q">The query: [D].</param>
    /// <param name="scale">What q k^T was multiplied by.</param>
    /// <param name="scores">The scores of neighbouring keys, the last being the query's own.</param>
    /// <param name="count">How many.</param>
    /// <param name="scratch">Memory for <see cref="Scratch"/> numbers.</param>
    public abstract void Add(QueryPlace query, float* q, float scale, float* scores, int count, float* scratch);
}

/// <summary>Where a query stands: its row of the state, its head and its position in the row.</summary>
internal readonly record struct QueryPlace(int Row, int Head, int Position);
