using Transformer.Layers;

namespace Transformer.Model;

/// <summary>
/// Everything that generation carries from one step to the next: one state a layer, and for each row of the batch the number of tokens seen.
/// Made by <see cref="TransformerModel.NewState"/>; changed in place by each pass.
/// </summary>
public sealed class ModelState : IDisposable
{
    private readonly int[] lengths;

    internal ModelState(IReadOnlyList<LayerState> layers, int rows, int capacity)
    {
        (Layers, lengths, Capacity) = (layers, new int[rows], capacity);
    }

    /// <summary>One state a layer, from the embedding to the head.</summary>
    public IReadOnlyList<LayerState> Layers { get; }

    /// <summary>The greatest number of tokens that a row may have.</summary>
    public int Capacity { get; }

    /// <summary>For each row the number of tokens seen.</summary>
    public IReadOnlyList<int> Lengths => lengths;

    /// <summary>The bytes that all layers hold.</summary>
    public long Bytes => Layers.Sum(layer => layer.Bytes);

    internal void Advance(int tokens)
    {
        for (var row = 0; row < lengths.Length; row++) lengths[row] += tokens;
    }

    /// <summary>
    /// Forgets the last tokens of a row: what a pass over prompts of unequal length wrote for the padding of the shorter ones. What is forgotten
    /// is hidden from later passes and overwritten by them.
    /// </summary>
    /// <param name="row">Which row.</param>
    /// <param name="length">How many tokens it keeps.</param>
    public void Truncate(int row, int length)
    {
        if (length < 0 || length > lengths[row])
            throw new ArgumentOutOfRangeException(nameof(length), length, $"row {row} has {lengths[row]} tokens");
        lengths[row] = length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in Layers) layer.Dispose();
    }
}
