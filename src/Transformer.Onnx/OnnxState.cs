using Microsoft.ML.OnnxRuntime;

namespace Transformer.Onnx;

// B rows · P past slots

/// <summary>
/// Everything that generation by ONNX Runtime carries from one pass to the next: the tensors that the graph gave, and for each row which slots of its caches
/// hold its tokens. Made by <see cref="OnnxModel.NewState"/>; each pass changes it.
/// </summary>
public sealed class OnnxState : IDisposable
{
    private readonly List<long>[] slots;
    private readonly int[] lengths;

    internal OnnxState(IReadOnlyList<OrtValue> past, int rows, int capacity)
    {
        (Past, Capacity, lengths) = (past, capacity, new int[rows]);
        slots = [.. lengths.Select(_ => new List<long>())];
    }

    /// <summary>The greatest number of tokens that a row may have.</summary>
    public int Capacity { get; }

    /// <summary>For each row the number of tokens seen.</summary>
    public IReadOnlyList<int> Lengths => lengths;

    /// <summary>The graph's state, in the order of its inputs.</summary>
    internal IReadOnlyList<OrtValue> Past { get; private set; }

    /// <summary>For each slot of a row 1 where it holds a token, 0 where it is filling: P numbers.</summary>
    internal IReadOnlyList<long> Slots(int row) => slots[row];

    /// <summary>Takes in a pass: its tensors, and for each row how many of its slots hold tokens, from the left.</summary>
    internal void Advance(IReadOnlyList<OrtValue> present, int added, IReadOnlyList<int> counts)
    {
        Dispose();
        Past = present;
        for (var row = 0; row < lengths.Length; row++)
        {
            lengths[row] += counts[row];
            for (var slot = 0; slot < added; slot++) slots[row].Add(slot < counts[row] ? 1 : 0);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var value in Past) value.Dispose();
        Past = [];
    }
}
