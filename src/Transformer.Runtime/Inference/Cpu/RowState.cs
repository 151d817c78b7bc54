using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · n numbers

/// <summary>Some numbers of each row, zeros before its first token.</summary>
/// <param name="name">What they are called in files.</param>
/// <param name="rows">B.</param>
/// <param name="count">n.</param>
internal unsafe class RowState(string name, int rows, int count) : MixerState
{
    private readonly NativeArray<float> numbers = new((long)rows * count);

    /// <inheritdoc/>
    public sealed override long Bytes => numbers.Bytes;

    /// <inheritdoc/>
    public sealed override bool CanTruncate => false;

    /// <summary>The numbers of a row: [n].</summary>
    public float* Row(int row) => numbers.Pointer + (long)row * count;

    /// <inheritdoc/>
    public sealed override void Clear(int row) => Span(row).Clear();

    /// <inheritdoc/>
    public sealed override void Copy(int from, int to, int length) => Span(from).CopyTo(Span(to));

    /// <inheritdoc/>
    public sealed override StatePart[] Parts(int row, int length) =>
        count == 0 ? [] : [new(name, count, to => Span(row).CopyTo(to), from => from.CopyTo(Span(row)))];

    private Span<float> Span(int row) => numbers.Span((long)row * count, count);

    /// <inheritdoc/>
    public sealed override void Dispose() => numbers.Dispose();
}
