using System.Runtime.InteropServices;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Generation;

// B batch · T tokens · C width · V vocabulary

/// <summary>
/// Logits by the model's own forward pass in libtorch, on any device: all rows in each pass, those that have ended unheard. Ranks that share a model make each pass
/// together, and all go by the logits of rank 0: they could differ in the last digit, and so in a token.
/// </summary>
/// <param name="model">The model; it stays the caller's.</param>
/// <param name="rows">B.</param>
/// <param name="capacity">The most tokens of a window.</param>
internal sealed class ModelLogits(TransformerModel model, int rows, int capacity) : NextLogits
{
    private readonly float[] logits = new float[rows * model.Config.VocabularySize!.Value];    // [B, V]
    private ModelState? state;

    /// <inheritdoc/>
    public override void Read(GenerationRow[] rows)
    {
        using var scope = NewDisposeScope();
        // One row that begins lets all begin again: the state of a batch is one.
        var begins = Array.Exists(rows, row => row.Finished is null && row.Unread == row.Window.Count);
        if (begins)
        {
            state?.Dispose();
            state = model.NewState(rows.Length, capacity);
        }
        var found = begins ? Begin(rows) : Continue(rows);                                                      // [B, V]
        found = found.to(ScalarType.Float32).contiguous();
        model.TensorParallelGroup?.Collective.Broadcast(found, root: 0);
        MemoryMarshal.Cast<byte, float>(found.cpu().bytes).CopyTo(logits);
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => logits.AsSpan(row * (logits.Length / rows), logits.Length / rows);

    /// <inheritdoc/>
    public override bool IsAsked(bool isAsked) => model.TensorParallelGroup?.Any(isAsked) ?? isAsked;

    // Shorter rows are filled up on the right; the state does not keep the filling.
    private Tensor Begin(GenerationRow[] rows)
    {
        var longest = rows.Max(row => row.Window.Count);
        var ids = zeros(rows.Length, longest, ScalarType.Int64);                                                // [B, T]
        var numbers = MemoryMarshal.Cast<byte, long>(ids.bytes);
        for (var row = 0; row < rows.Length; row++)
            for (var at = 0; at < rows[row].Window.Count; at++) numbers[row * longest + at] = rows[row].Window[at];

        var hidden = model.Hidden(ids.to(model.Device), state, [.. rows.Select(row => row.Window.Count)]);      // [B, T, C]
        var last = tensor(rows.Select(row => row.Window.Count - 1L).ToArray()).ToDeviceAsync(model.Device);          // [B]
        return model.Logits(hidden[arange(rows.Length, device: model.Device), last]);                           // [B, V]
    }

    private Tensor Continue(GenerationRow[] rows)
    {
        var ids = empty(rows.Length, 1, ScalarType.Int64);                                                      // [B, 1]
        var numbers = MemoryMarshal.Cast<byte, long>(ids.bytes);
        for (var row = 0; row < rows.Length; row++) numbers[row] = rows[row].Window[^1];
        // A row that has ended runs along unheard, as filling.
        var hidden = model.Hidden(ids.to(model.Device), state, [.. rows.Select(row => row.Finished is null ? 1 : 0)]);    // [B, 1, C]
        return model.Logits(hidden.squeeze(1));                                                                 // [B, V]
    }

    /// <inheritdoc/>
    public override void Dispose() => state?.Dispose();
}
