namespace Transformer.Generation.Decoding;

// B rows · S places · G key/value heads · D head width

/// <summary>
/// Keys and values of the tokens so far. Token s of a row lies in place s mod S. Without a window S is the most tokens that a row may have; with one it is what
/// the window reaches and the tokens of a pass, so that none of them overwrites what another still sees.
/// </summary>
internal sealed unsafe class KeyValueState : MixerState
{
    private readonly NativeArray<float> keys, values;
    private readonly NativeArray<float>? turned;
    private readonly int rows, heads, width;

    /// <param name="rows">B.</param>
    /// <param name="heads">G.</param>
    /// <param name="places">S.</param>
    /// <param name="width">D.</param>
    /// <param name="isWhole">Whether every token of a row has a place of its own.</param>
    /// <param name="keepsUnturned">Whether keys are kept unturned, and turned into a second buffer in each pass.</param>
    public KeyValueState(int rows, int heads, int places, int width, bool isWhole, bool keepsUnturned)
    {
        (this.rows, this.heads, this.width, Places, CanForget) = (rows, heads, width, places, isWhole && !keepsUnturned);
        keys = new((long)rows * heads * places * width);
        values = new((long)rows * heads * places * width);
        if (keepsUnturned) turned = new(keys.Length);
    }

    /// <summary>S.</summary>
    public int Places { get; }

    /// <inheritdoc/>
    /// <remarks>Not where angles follow the length: what tokens became beside later ones is not what they are without them.</remarks>
    public override bool CanForget { get; }

    /// <inheritdoc/>
    public override long Bytes => keys.Bytes + values.Bytes + (turned?.Bytes ?? 0);

    /// <summary>The keys of a row's head: [S, D].</summary>
    public float* Keys(int row, int head) => keys.Pointer + At(row, head);

    /// <summary>The values of a row's head: [S, D].</summary>
    public float* Values(int row, int head) => values.Pointer + At(row, head);

    /// <summary>The keys that scores are made of: those that are kept, or where those are unturned what <see cref="Turn"/> made of them.</summary>
    public float* TurnedKeys(int row, int head) => (turned ?? keys).Pointer + At(row, head);

    /// <summary>Turns a row's keys, where they are kept unturned.</summary>
    /// <param name="rotation">The angles.</param>
    /// <param name="row">The row.</param>
    /// <param name="count">How many keys there are.</param>
    /// <param name="length">The length of the text, which the angles depend on.</param>
    public void Turn(Rotation rotation, int row, int count, int length)
    {
        var (cos, sin) = rotation.OfKeys(length);
        for (var head = 0; head < heads; head++)
        {
            keys.Span(At(row, head), count * width).CopyTo(turned!.Span(At(row, head), count * width));
            for (var s = 0; s < count; s++)
                Rotation.Turn(turned.Pointer + At(row, head) + s * width, (float*)cos + s * width / 2, (float*)sin + s * width / 2, width);
        }
    }

    /// <inheritdoc/>
    public override void Clear(int row)
    {
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        var count = Math.Min(length, Places) * width;
        for (var head = 0; head < heads; head++)
        {
            keys.Span(At(from, head), count).CopyTo(keys.Span(At(to, head), count));
            values.Span(At(from, head), count).CopyTo(values.Span(At(to, head), count));
        }
    }

    private long At(int row, int head) => ((long)row * heads + head) * Places * width;

    /// <inheritdoc/>
    public override void Dispose()
    {
        keys.Dispose();
        values.Dispose();
        turned?.Dispose();
    }
}
