namespace Transformer.Inference.Cpu;

// B rows · N tokens · s tokens of a group · C width

/// <summary>
/// A vector of each token of the groups that are open, for when their last tokens come. Group j of a row ends with token s j, so that the
/// token at position p has place (p + s - 1) mod s in its group.
/// </summary>
/// <param name="name">What the vectors are called in files.</param>
/// <param name="rows">B.</param>
/// <param name="shorten">s.</param>
/// <param name="width">C.</param>
internal sealed unsafe class OpenGroup(string name, int rows, int shorten, int width) : RowState(name, rows, (shorten - 1) * width)
{
    /// <summary>The vector of a token of a group that is complete.</summary>
    /// <param name="batch">The tokens, which go on from those that are kept.</param>
    /// <param name="last">The group's last token.</param>
    /// <param name="place">Which of the group's s tokens.</param>
    /// <param name="x">The vectors of the batch: [N, C].</param>
    /// <param name="padding">What stands before a text, since its first token ends a group: [C].</param>
    /// <returns>[C]</returns>
    public float* Of(TokenBatch batch, int last, int place, Activations x, float* padding)
    {
        var (before, row) = (shorten - 1 - place, batch.Row(last));
        if (batch.Position(last) < before) return padding;
        return last >= before && batch.Row(last - before) == row ? x.Row(last - before) : Row(row) + (long)place * width;
    }

    /// <summary>Keeps the vectors of the tokens that are not the last ones of their groups.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="x">[N, C]</param>
    public void Keep(TokenBatch batch, Activations x)
    {
        for (var token = 0; token < batch.Tokens; token++)
        {
            var after = batch.Position(token) % shorten;    // 0 for the last one of a group, else its place and 1
            if (after > 0) VectorKernels.Copy(x.Row(token), Row(batch.Row(token)) + (long)(after - 1) * width, width);
        }
    }
}
