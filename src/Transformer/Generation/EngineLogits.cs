using Transformer.Inference.Cpu;

namespace Transformer.Generation;

/// <summary>Logits by an engine of this project's own. Rows that have ended are left out, and one whose window was cut begins again beside the others.</summary>
internal sealed class EngineLogits : NextLogits
{
    private readonly CpuInferenceModel engine;
    private readonly CpuSequenceState state;
    private readonly int[] parts, counts, placeOf;
    private int[] tokens;

    /// <param name="engine">The engine; it stays the caller's.</param>
    /// <param name="state">A state of as many rows; it ends with this.</param>
    public EngineLogits(CpuInferenceModel engine, CpuSequenceState state)
    {
        var rows = state.Lengths.Count;
        (this.engine, this.state) = (engine, state);
        (parts, counts, placeOf, tokens) = (new int[rows], new int[rows], new int[rows], new int[rows]);
    }

    /// <inheritdoc/>
    public override void Read(GenerationRow[] rows)
    {
        var (live, total) = (0, 0);
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Finished is not null) continue;
            var unread = rows[row].UnreadTokens;
            if (unread.Length == rows[row].Window.Count) state.Clear(row);
            if (tokens.Length < total + unread.Length) Array.Resize(ref tokens, 2 * (total + unread.Length));
            unread.CopyTo(tokens.AsSpan(total));
            (parts[live], counts[live], placeOf[row]) = (row, unread.Length, live);
            (live, total) = (live + 1, total + unread.Length);
        }
        engine.Read(state, parts.AsSpan(0, live), counts.AsSpan(0, live), tokens.AsSpan(0, total));
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => engine.LogitsOf(placeOf[row]);

    /// <inheritdoc/>
    public override void Dispose() => state.Dispose();
}
