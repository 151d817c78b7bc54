using static TorchSharp.torch;

namespace Transformer.Layers.Memory;

// B rows · m memory tokens · C width · F features

/// <summary>
/// The associative memory of a block in generation: A and z as all places of a segment read them, and what memory tokens have added, which
/// the next segment will read.
/// </summary>
internal sealed class AssociativeState : LayerState
{
    private readonly Tensor addedMatrix, addedNormalizer, begun;

    public AssociativeState(int rows, int features, int width, Device device) : this(
        zeros(rows, features, width, device: device), zeros(rows, features, device: device),
        zeros(rows, features, width, device: device), zeros(rows, features, device: device), zeros(rows, 1, 1, device: device))
    {
    }

    private AssociativeState(Tensor matrix, Tensor normalizer, Tensor addedMatrix, Tensor addedNormalizer, Tensor begun)
        : base(matrix, normalizer, addedMatrix, addedNormalizer, begun) =>
        (Matrix, Normalizer, this.addedMatrix, this.addedNormalizer, this.begun) =
            (matrix, normalizer, addedMatrix, addedNormalizer, begun);

    /// <summary>A: [B, F, C].</summary>
    public Tensor Matrix { get; }

    /// <summary>z: [B, F].</summary>
    public Tensor Normalizer { get; }

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override AssociativeState Narrow(int first, int count) => new(
        Matrix.narrow(0, first, count), Normalizer.narrow(0, first, count), addedMatrix.narrow(0, first, count),
        addedNormalizer.narrow(0, first, count), begun.narrow(0, first, count));

    /// <summary>Adds what the memory tokens of a pass write; those of a row stand behind all words of its segment.</summary>
    /// <param name="output">The block's output: [B, T, C].</param>
    /// <param name="context">Which places these are.</param>
    /// <param name="written">What memory tokens [1, m, C] add to A and z, which are given with whether the text has begun.</param>
    public void Write(
        Tensor output, ForwardContext context, Func<Tensor, Tensor, Tensor, Tensor, (Tensor Matrix, Tensor Normalizer)> written)
    {
        for (var row = 0; row < output.shape[0]; row++)
        {
            var count = context.NewTokensOf(row, output.shape[1]);
            if (count == 0 || context.CachedLengths[row] < context.SegmentLength) continue;
            var memory = output.narrow(0, row, 1).narrow(1, 0, count);
            var (matrix, normalizer) = written(
                memory, Matrix.narrow(0, row, 1), Normalizer.narrow(0, row, 1), begun.narrow(0, row, 1));
            addedMatrix[row].add_(matrix[0]);
            addedNormalizer[row].add_(normalizer[0]);
        }
    }

    /// <inheritdoc/>
    internal override void Carry(int row, int length)
    {
        Matrix[row].add_(addedMatrix[row]);
        Normalizer[row].add_(addedNormalizer[row]);
        addedMatrix[row].zero_();
        addedNormalizer[row].zero_();
        begun[row].fill_(1);
    }
}
