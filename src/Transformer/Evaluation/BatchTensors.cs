using Transformer.Data;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

/// <summary>Batches as tensors.</summary>
public static class BatchTensors
{
    /// <summary>A batch's inputs and targets on a device: 2 x [rows, columns], 64-bit integers.</summary>
    public static (Tensor Inputs, Tensor Targets) On(Batch batch, Device device) =>
        (tensor(batch.Inputs, batch.Rows, batch.Columns).to(device), tensor(batch.Targets, batch.Rows, batch.Columns).to(device));
}
