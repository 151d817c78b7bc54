using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Diagrams;

// T tokens · C width · H heads · D head width

/// <summary>What masks, windows and fixed biases by themselves make of attention, computed by the layers that have them.</summary>
internal static class AttentionWeights
{
    /// <summary>
    /// The weights where all queries match all keys alike, as shares of the greatest of their row: 1 where a key is seen in full, less
    /// where a ramp or a bias takes some of it away, 0 where it is not seen. Learned windows are as they are before training, learned
    /// biases left out.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="attention">One of its mixers.</param>
    /// <param name="tokens">T.</param>
    /// <returns>For each head [T, T], queries by keys.</returns>
    public static IReadOnlyList<double[,]> OfEqualScores(ModelConfig model, SoftmaxAttentionConfig attention, int tokens)
    {
        using var without = no_grad();
        using var scope = NewDisposeScope();
        using var window = AttentionWindow.FromConfig(attention.Window, attention.Heads, model.Width);
        using var bias = ScoreBias.FromConfig(model);
        var reach = window?.call(zeros(1, tokens, model.Width), new ForwardContext());

        var positions = arange(tokens);
        var distance = (positions.unsqueeze(-1) - positions.unsqueeze(-2)).view(1, 1, tokens, tokens);
        var mask = reach is null ? SoftmaxAttention.CausalMask(tokens, CPU) : reach.Reaches(distance);
        var same = zeros(1, attention.Heads, tokens, attention.HeadWidthAt(model.Width));             // [1, H, T, D]
        var values = eye(tokens).expand(1, attention.Heads, -1, -1);                                  // so that the output is the weights
        var weights = SoftmaxAttention.Explicit(
            same, same, values, scale: 1, mask, attention.LogitSoftCap,
            bias: bias is { IsLearned: false } ? bias.call(same, positions, positions) : null, softMask: reach?.SoftMask(distance));
        var shares = (weights / weights.amax([-1L], keepdim: true)).ToHost();                         // [1, H, T, T]
        return [.. shares.Chunk(tokens * tokens).Select(head => Matrix(head, tokens))];
    }

    // To two decimals, which is what an eye can tell and what every processor agrees on.
    private static double[,] Matrix(double[] shares, int tokens)
    {
        var matrix = new double[tokens, tokens];
        for (var at = 0; at < shares.Length; at++) matrix[at / tokens, at % tokens] = Math.Round(shares[at], 2);
        return matrix;
    }
}
