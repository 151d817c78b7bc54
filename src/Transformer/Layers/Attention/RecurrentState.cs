using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · H heads · F feature width · E value width

/// <summary>
/// The state of linear attention: a matrix per head, the sum of the keys' features where outputs are normalised by it, and the
/// convolutions' last tokens. Its size does not depend on the length of the text.
/// </summary>
public sealed class RecurrentState : LayerState
{
    internal RecurrentState(Tensor matrix, Tensor? keySum, ConvolutionState? queries, ConvolutionState? keys, ConvolutionState? values)
        : base(matrix, keySum, queries?.Tail, keys?.Tail, values?.Tail)
    {
        (Matrix, KeySum) = (matrix, keySum);
        (Queries, Keys, Values) = (queries, keys, values);
    }

    /// <summary>S, fp32: [B, H, F, E].</summary>
    internal Tensor Matrix { get; }

    /// <summary>The sum of the keys' features, fp32: [B, H, 1, F].</summary>
    internal Tensor? KeySum { get; }

    internal ConvolutionState? Queries { get; }

    internal ConvolutionState? Keys { get; }

    internal ConvolutionState? Values { get; }

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override RecurrentState Narrow(int first, int count) => new(
        Matrix.narrow(0, first, count), KeySum?.narrow(0, first, count), Queries?.Narrow(first, count), Keys?.Narrow(first, count),
        Values?.Narrow(first, count));
}
