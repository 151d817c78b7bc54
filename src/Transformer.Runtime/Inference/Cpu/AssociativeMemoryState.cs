using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · C width · F features

/// <summary>
/// The associative memory of a block: A and z as a segment reads them, and what its memory tokens have added, which the next one will read.
/// </summary>
internal sealed unsafe class AssociativeMemoryState : MixerState
{
    private readonly int features, width;
    private readonly long each;                     // numbers of a row: A and z, then what was added to them
    private readonly NativeArray<float> numbers;
    private readonly bool[] begun;

    /// <param name="rows">B.</param>
    /// <param name="features">F.</param>
    /// <param name="width">C.</param>
    public AssociativeMemoryState(int rows, int features, int width)
    {
        (this.features, this.width, each) = (features, width, 2L * features * (width + 1));
        (numbers, begun) = (new(rows * each), new bool[rows]);
    }

    /// <inheritdoc/>
    public override long Bytes => numbers.Bytes;

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <summary>A: [F, C].</summary>
    public float* Matrix(int row) => numbers.Pointer + row * each;

    /// <summary>z: [F].</summary>
    public float* Normalizer(int row) => Matrix(row) + (long)features * width;

    /// <summary>What was added to A: [F, C].</summary>
    public float* AddedMatrix(int row) => Matrix(row) + each / 2;

    /// <summary>What was added to z: [F].</summary>
    public float* AddedNormalizer(int row) => AddedMatrix(row) + (long)features * width;

    /// <summary>Whether a segment of the row has ended.</summary>
    public bool HasBegun(int row) => begun[row];

    /// <inheritdoc/>
    public override void Clear(int row)
    {
        Row(row).Clear();
        begun[row] = false;
    }

    /// <inheritdoc/>
    public override void Carry(int row, int length)
    {
        VectorKernels.AddScaled(1, AddedMatrix(row), Matrix(row), (int)(each / 2));
        Row(row)[(int)(each / 2)..].Clear();
        begun[row] = true;
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        Row(from).CopyTo(Row(to));
        begun[to] = begun[from];
    }

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length) =>
    [
        new("associations", (int)each, to => Row(row).CopyTo(to), from => from.CopyTo(Row(row))),
        new("begun", 1, to => to[0] = begun[row] ? 1 : 0, from => begun[row] = from[0] != 0),
    ];

    private Span<float> Row(int row) => numbers.Span(row * each, (int)each);

    /// <inheritdoc/>
    public override void Dispose() => numbers.Dispose();
}
