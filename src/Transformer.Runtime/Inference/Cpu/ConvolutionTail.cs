using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · T tokens · C width · W tokens seen

/// <summary>The last W - 1 inputs of a short convolution of each row, zeros before the first token.</summary>
/// <param name="rows">B.</param>
/// <param name="seen">W.</param>
/// <param name="width">C.</param>
internal sealed unsafe class ConvolutionTail(int rows, int seen, int width) : MixerState
{
    private readonly NativeArray<float> tails = new((long)rows * (seen - 1) * width);    // [B, W - 1, C]

    /// <inheritdoc/>
    public override long Bytes => tails.Bytes;

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <summary>y_t = sum over w of weight_w x_(t - W + 1 + w) for some components of a row's new tokens, in place.</summary>
    /// <param name="row">The row.</param>
    /// <param name="x">The first token's vector, [C]; the others follow it.</param>
    /// <param name="tokens">T.</param>
    /// <param name="weight">[C, W]</param>
    /// <param name="first">The first component.</param>
    /// <param name="count">How many components.</param>
    public void Convolve(int row, float* x, int tokens, float* weight, int first, int count)
    {
        var tail = tails.Pointer + (long)row * (seen - 1) * width;
        var window = stackalloc float[seen];
        for (var c = first; c < first + count; c++)
        {
            for (var w = 1; w < seen; w++) window[w] = tail[(w - 1) * width + c];
            for (var t = 0; t < tokens; t++)
            {
                for (var w = 1; w < seen; w++) window[w - 1] = window[w];
                window[seen - 1] = x[(long)t * width + c];
                var y = 0f;
                for (var w = 0; w < seen; w++) y = MathF.FusedMultiplyAdd(weight[c * seen + w], window[w], y);
                x[(long)t * width + c] = y;
            }
            for (var w = 1; w < seen; w++) tail[(w - 1) * width + c] = window[w];
        }
    }

    /// <inheritdoc/>
    public override void Clear(int row) => Row(row).Clear();

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length) => Row(from).CopyTo(Row(to));

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length) =>
        [new("tail", (seen - 1) * width, to => Row(row).CopyTo(to), from => from.CopyTo(Row(row)))];

    private Span<float> Row(int row) => tails.Span((long)row * (seen - 1) * width, (seen - 1) * width);

    /// <inheritdoc/>
    public override void Dispose() => tails.Dispose();
}
