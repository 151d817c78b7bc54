using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · V vocabulary

/// <summary>The loss of next-token prediction.</summary>
public static class LanguageModelLoss
{
    /// <summary>The label of a token that does not count.</summary>
    public const long Ignored = -100;

    /// <summary>The mean over the counted tokens of -ln softmax(logits)[target], in nats.</summary>
    /// <param name="logits">[B, T, V]</param>
    /// <param name="targets">[B, T], integers below V or <paramref name="ignored"/>.</param>
    /// <param name="ignored">The label of a token that does not count.</param>
    /// <param name="reduction">Mean, or sum where the caller divides.</param>
    /// <returns>A scalar.</returns>
    public static Tensor CrossEntropy(Tensor logits, Tensor targets, long ignored = Ignored, nn.Reduction reduction = nn.Reduction.Mean) =>
        nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index: ignored, reduction: reduction);

    /// <summary>
    /// The z-loss (Chowdhery et al. 2022, section 5): the mean over the counted tokens of ln(Z)^2, Z being the softmax's denominator. Added with a
    /// small weight it keeps logits from drifting.
    /// </summary>
    /// <param name="logits">[B, T, V]</param>
    /// <param name="targets">[B, T], integers below V or <paramref name="ignored"/>.</param>
    /// <param name="ignored">The label of a token that does not count.</param>
    /// <returns>A scalar.</returns>
    public static Tensor SquaredPartition(Tensor logits, Tensor targets, long ignored = Ignored)
    {
        var counted = (targets != ignored).to(logits.dtype);                    // [B, T]
        return (logits.logsumexp(-1).square() * counted).sum() / counted.sum();
    }
}
