using Transformer.Distributed;
using Transformer.Generation;

namespace Transformer.Onnx;

// V vocabulary

/// <summary>Logits by ONNX Runtime; rows that have ended get nothing but filling.</summary>
/// <param name="model">The model; it stays the caller's.</param>
/// <param name="rows">How many rows there are.</param>
/// <param name="capacity">The most tokens of a window.</param>
internal sealed class OnnxLogits(OnnxModel model, int rows, int capacity) : NextLogits
{
    private readonly int[] placeOf = new int[rows];
    private OnnxState? state;
    private float[] logits = [];    // [rows that go on, V]

    /// <inheritdoc/>
    public override void Read(GenerationRow[] rows)
    {
        int[] live = [.. Enumerable.Range(0, rows.Length).Where(row => rows[row].Finished is null)];
        // One row that begins lets all begin again: the slots of a batch are one.
        var begins = live.Any(row => rows[row].Unread == rows[row].Window.Count);
        if (begins)
        {
            state?.Dispose();
            state = model.NewState(rows.Length, capacity);
        }
        int[][] tokens = [.. live.Select(row => begins ? [.. rows[row].Window] : rows[row].UnreadTokens.ToArray())];
        logits = model.Read(state!, live, [.. tokens.Select(text => text.Length)], [.. tokens.SelectMany(text => text)]);
        for (var place = 0; place < live.Length; place++) placeOf[live[place]] = place;
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => logits.AsSpan(placeOf[row] * model.Config.VocabularySize!.Value, model.Config.VocabularySize!.Value);

    /// <inheritdoc/>
    public override void Dispose() => state?.Dispose();
}
