using Transformer.Data;
using Transformer.Layers.Memory;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// B batch · N tokens of a row · C width

/// <summary>Reads batches one after the other, and remembers where they go on from each other.</summary>
/// <param name="model">The model.</param>
/// <param name="withoutMemory">Whether what is remembered is set to zero before each batch: a control.</param>
internal sealed class SegmentReader(TransformerModel model, bool withoutMemory = false) : IDisposable
{
    private SegmentMemory? memory;

    /// <summary>The last layer's normalised output: [B, N, C].</summary>
    /// <param name="inputs">The batch's inputs: [B, N].</param>
    /// <param name="batch">The batch.</param>
    public Tensor Hidden(Tensor inputs, Batch batch)
    {
        if (!model.Config.HasSegments)
            return model.Hidden(inputs, pictures: BatchTensors.Pictures(batch, model), documents: batch.Documents);
        using var zeroed = withoutMemory ? memory?.Zeroed() : null;
        var (hidden, after) = model.Continue(inputs, batch.Starts is null ? null : zeroed ?? memory, batch.Starts);
        memory?.Dispose();
        memory = after;
        return hidden;
    }

    /// <inheritdoc/>
    public void Dispose() => memory?.Dispose();
}
