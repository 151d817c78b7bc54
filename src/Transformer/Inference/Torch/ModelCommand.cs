namespace Transformer.Inference.Torch;

// N tokens · C width

/// <summary>What rank 0 asks of the ranks that share a model with it.</summary>
/// <param name="Kind">What is to be done.</param>
/// <param name="State">The number of the state.</param>
/// <param name="First">The rows of a new state; else the row.</param>
/// <param name="Second">The capacity of a new state; else the row that is copied to, or the length that stays.</param>
internal sealed record ModelCommand(ModelCommandKind Kind, int State, int First = 0, int Second = 0)
{
    /// <summary>The rows of a pass.</summary>
    public int[] Rows { get; init; } = [];

    /// <summary>How many tokens each of them gets.</summary>
    public int[] Counts { get; init; } = [];

    /// <summary>The tokens: [N]; none where embeddings enter.</summary>
    public int[] Ids { get; init; } = [];

    /// <summary>[N, C]; none where ids enter.</summary>
    public float[] Embeddings { get; init; } = [];

    /// <summary>Whether every token is an output.</summary>
    public bool All { get; init; }
}
