namespace Transformer.Inference.Cpu.Vision;

// B rows · N vectors of a picture

/// <summary>Keys and values of the last picture of each row, which every later token sees.</summary>
/// <param name="rows">B.</param>
/// <param name="vectors">N.</param>
/// <param name="pictures">Of each row the keys and values of N vectors, zeros where it has no picture.</param>
internal sealed class PictureState(int rows, int vectors, KeyValueState pictures) : MixerState
{
    private readonly bool[] has = new bool[rows];

    /// <summary>Of each row the keys and values of the last picture.</summary>
    public KeyValueState Pictures => pictures;

    /// <summary>Whether a row has a picture.</summary>
    public bool Has(int row) => has[row];

    /// <summary>Notes that the keys and values of a picture are kept.</summary>
    public void Begin(int row) => has[row] = true;

    /// <inheritdoc/>
    public override long Bytes => pictures.Bytes;

    // A text that ends before its last picture would see an earlier one, which is not kept.
    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override void Clear(int row)
    {
        if (has[row]) pictures.ClearFrom(row, 0);
        has[row] = false;
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        pictures.Copy(from, to, vectors);
        has[to] = has[from];
    }

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length) =>
        [.. pictures.Parts(row, vectors), new("has", 1, to => to[0] = has[row] ? 1 : 0, from => has[row] = from[0] != 0)];

    /// <inheritdoc/>
    public override void Dispose() => pictures.Dispose();
}
