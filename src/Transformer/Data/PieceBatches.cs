namespace Transformer.Data;

/// <summary>Batches that tell where the pieces of another tokenizer end.</summary>
/// <param name="batches">The batches.</param>
/// <param name="ends">What finds the ends.</param>
internal sealed class PieceBatches(TrainingBatches batches, PieceEnds ends) : TrainingBatches(batches.Position)
{
    /// <inheritdoc/>
    public override Batch At(long position)
    {
        var batch = batches.At(position);
        return batch with { PieceEnds = ends.Of(batch) };
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) batches.Dispose();
    }
}
