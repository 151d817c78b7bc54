using Transformer.Distributed;
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

    internal void Advance(IReadOnlyList<int> tokens)
    {
        for (var row = 0; row < lengths.Length; row++) lengths[row] += tokens[row];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in Layers) layer.Dispose();
    }
}
