using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · S tokens · H heads · G key/value heads · D head width

/// <summary>
/// Keys, values and the logarithms of the forget gates of all tokens and, where keys and values are mixed with those of the token before,
/// the last ones before they were mixed.
/// </summary>
internal sealed unsafe class ForgettingState : MixerState
{
    private readonly NativeArray<float> gates;    // [B, H, S]
    private readonly NativeArray<float>? last;    // [B, 2, G D]
    private readonly int heads, length, lastWidth;

    /// <param name="rows">B.</param>
    /// <param name="heads">H.</param>
    /// <param name="keyValueHeads">G.</param>
    /// <param name="length">S.</param>
    /// <param name="width">D.</param>
    /// <param name="keepsLast">Whether the last keys and values are kept unmixed.</param>
    public ForgettingState(int rows, int heads, int keyValueHeads, int length, int width, bool keepsLast)
    {
        (this.heads, this.length, lastWidth) = (heads, length, 2 * keyValueHeads * width);
        Cache = new KeyValueState(rows, keyValueHeads, length, width, isWhole: true, keepsUnrotated: false);
        gates = new((long)rows * heads * length);
        if (keepsLast) last = new((long)rows * lastWidth);
    }

    /// <summary>The keys and values.</summary>
    public KeyValueState Cache { get; }

    /// <inheritdoc/>
    public override long Bytes => Cache.Bytes + gates.Bytes + (last?.Bytes ?? 0);

    /// <inheritdoc/>
    /// <remarks>False where the last keys and values are kept: those of an earlier token are not known any more.</remarks>
    public override bool CanTruncate => last is null;

    /// <summary>log f of a row's tokens: [S].</summary>
    public float* Gates(int row, int head) => gates.Pointer + ((long)row * heads + head) * length;

    /// <summary>The keys and values of a row's last token before they were mixed: [2, G D], zeros before the first token.</summary>
    public float* Last(int row) => last!.Pointer + (long)row * lastWidth;

    /// <inheritdoc/>
    public override void Clear(int row)
    {
        Cache.Clear(row);
        last?.Span((long)row * lastWidth, lastWidth).Clear();
    }

    /// <inheritdoc/>
    public override void ClearFrom(int row, int length)
    {
        Cache.ClearFrom(row, length);
        for (var head = 0; head < heads; head++) RowGates(row, head, this.length)[length..].Clear();
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        Cache.Copy(from, to, length);
        for (var head = 0; head < heads; head++) RowGates(from, head, length).CopyTo(RowGates(to, head, length));
        last?.Span((long)from * lastWidth, lastWidth).CopyTo(last.Span((long)to * lastWidth, lastWidth));
    }

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length) =>
    [
        .. Cache.Parts(row, length),
        new("forget_gates", heads * length, to =>
        {
            for (var head = 0; head < heads; head++) RowGates(row, head, length).CopyTo(to[(head * length)..]);
        }, from =>
        {
            for (var head = 0; head < heads; head++) from.Slice(head * length, length).CopyTo(RowGates(row, head, length));
        }),
        .. last is null ? (StatePart[])[] :
        [
            new("last", lastWidth, to => last.Span((long)row * lastWidth, lastWidth).CopyTo(to),
                from => from.CopyTo(last.Span((long)row * lastWidth, lastWidth))),
        ],
    ];

    private Span<float> RowGates(int row, int head, int count) => gates.Span(((long)row * heads + head) * length, count);

    /// <inheritdoc/>
    public override void Dispose()
    {
        Cache.Dispose();
        gates.Dispose();
        last?.Dispose();
    }
}
