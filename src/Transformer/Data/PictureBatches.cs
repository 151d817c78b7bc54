using Transformer.Configuration;

namespace Transformer.Data;

/// <summary>Batches as a model with pictures reads them, made while the batch before is trained on.</summary>
/// <param name="batches">The batches, with one placeholder of each picture.</param>
/// <param name="model">The model.</param>
internal sealed class PictureBatches(TrainingBatches batches, ModelConfig model) : TrainingBatches(batches.Position)
{
    private readonly VisionConfig vision = model.Vision!;

    // Cross-attention reads a picture once however many rows show it.
    private readonly bool sharesPictures = model is { Vision: PrefixVisionConfig, SeparatesDocuments: true };

    /// <inheritdoc/>
    public override Batch At(long position)
    {
        var batch = batches.At(position);
        return (sharesPictures ? batch.WithPicturesShared() : batch).ReadBy(vision);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) batches.Dispose();
    }
}
