namespace Transformer.Inference.Cpu;

/// <summary>
/// log f_(j+1) + ... + log f_i for the keys j of a query i, summed from the query back: what is near, and counts most, is the most exact.
/// </summary>
internal sealed unsafe class ForgettingBias : AttentionBias
{
    /// <summary>The gates of the rows; set before each batch.</summary>
    public ForgettingState State { get; set; } = null!;

    /// <inheritdoc/>
    public override void Add(QueryPlace query, float* q, float scale, float* scores, int count, float* scratch)
    {
        var gates = State.Gates(query.Row, query.Head) + query.Position - (count - 1);    // of the first of the keys, and on
        var forgotten = 0f;
        for (var key = count - 1; key >= 0; key--)
        {
            scores[key] += forgotten;
            forgotten += gates[key];
        }
    }
}
