using Transformer.Data;
using Transformer.Layers.Memory;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// B batch · N tokens of a row · C width

/// <summary>Reads batches one after the other, and remembers where they go on from each other.</summary>
/// <param name="model">The model.</param>
internal sealed class SegmentReader(TransformerModel model) : IDisposable
{
    /// <summary>What is remembered of the rows so far; the next batch may be given other numbers.</summary>
    public SegmentMemory? Memory { get; private set; }

    /// <summary>The last layer's normalised output: [B, N, C].</summary>
    /// <param name="inputs">The batch's inputs: [B, N].</param>
    /// <param name="batch">The batch.</param>
    public Tensor Hidden(Tensor inputs, Batch batch)
    {
        if (!model.Config.HasSegments) return model.Hidden(inputs);
        var (hidden, memory) = model.Continue(inputs, batch.Starts is null ? null : Memory, batch.Starts);
        Memory?.Dispose();
        Memory = memory;
        return hidden;
    }

    /// <inheritdoc/>
    public void Dispose() => Memory?.Dispose();
}
