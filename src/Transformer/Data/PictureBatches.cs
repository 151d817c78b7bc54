using Transformer.Configuration;

namespace Transformer.Data;

/// <summary>Batches as a model with pictures reads them, made while the batch before is trained on.</summary>
/// <param name="batches">The batches, with one placeholder of each picture.</param>
/// <param name="vision">How the model reads pictures.</param>
internal sealed class PictureBatches(TrainingBatches batches, VisionConfig vision) : TrainingBatches(batches.Position)
{
    /// <inheritdoc/>
    public override Batch At(long position) => batches.At(position).ReadBy(vision);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) batches.Dispose();
    }
}
