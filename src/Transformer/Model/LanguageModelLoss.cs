using Transformer.Layers;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · V vocabulary

/// <summary>The loss of next-token prediction.</summary>
public static class LanguageModelLoss
{
    /// <summary>The label of a token that does not count.</summary>
    public const long Ignored = -100;

    /// <summary>How many bytes of logits are computed at once; if all of them take no more, they are computed whole.</summary>
    public const long LogitBytes = 32 << 20;

    /// <summary>
    /// Both losses of a head from its input, without all [B, T, V] logits in memory where they would be large: the loss and gradients of a
    /// chunk of tokens are computed before the next chunk's logits.
    /// </summary>
    /// <param name="hidden">[B, T, C]</param>
    /// <param name="head">[V, C]</param>
    /// <param name="targets">[B, T], integers below V or <paramref name="ignored"/>.</param>
    /// <param name="zLoss">The weight of <see cref="SquaredPartition"/>.</param>
    /// <param name="logitScale">What logits are multiplied by.</param>
    /// <param name="ignored">The label of a token that does not count.</param>
    /// <param name="logitBytes">How many bytes of logits may be computed at once.</param>
    /// <returns>The mean cross-entropy, and its sum with the weighted z-loss, which is the one to be differentiated: two scalars.</returns>
    public static (Tensor CrossEntropy, Tensor Total) OfHead(
        Tensor hidden, Tensor head, Tensor targets, double zLoss = 0, double logitScale = 1,
        long ignored = Ignored, long logitBytes = LogitBytes)
    {
        var rows = RowsAtOnce(targets.numel(), head.shape[0], logitBytes);
        if (rows < targets.numel()) return HeadLoss.Apply(hidden.flatten(0, 1), head, targets.flatten(), ignored, zLoss, logitScale, rows);
        using var scope = NewDisposeScope();
        var logits = Linear.Apply(hidden, head).ToFloat32();                      // [B, T, V]
        if (logitScale != 1) logits = logits * logitScale;
        var loss = CrossEntropy(logits, targets, ignored);
        var total = zLoss == 0 ? loss : loss + zLoss * SquaredPartition(logits, targets, ignored);
        return (scope.MoveToOuter(loss), zLoss == 0 ? loss : scope.MoveToOuter(total));
    }

    /// <summary>For how many tokens logits are computed at once: all, or as many as fit, at least one.</summary>
    /// <param name="tokens">All of them.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="logitBytes">How many bytes of logits may be computed at once.</param>
    public static long RowsAtOnce(long tokens, long vocabulary, long logitBytes = LogitBytes) =>
        Math.Clamp(logitBytes / (sizeof(float) * vocabulary), 1, Math.Max(1, tokens));

    /// <summary>The mean over the counted tokens of -ln softmax(logits)[target], in nats.</summary>
    /// <param name="logits">[B, T, V]</param>
    /// <param name="targets">[B, T], integers below V or <paramref name="ignored"/>.</param>
    /// <param name="ignored">The label of a token that does not count.</param>
    /// <param name="reduction">Mean, or sum where the caller divides.</param>
    /// <returns>A scalar.</returns>
    public static Tensor CrossEntropy(Tensor logits, Tensor targets, long ignored = Ignored, nn.Reduction reduction = nn.Reduction.Mean) =>
        nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index: ignored, reduction: reduction);

    /// <summary>
    /// The z-loss (Chowdhery et al. 2022, section 5): the mean over the counted tokens of ln(Z)^2, Z being the softmax's denominator. Added
    /// with a small weight it keeps logits from drifting.
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
