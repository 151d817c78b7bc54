using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Layers.Attention;

// R ramp

/// <summary>The keys of a block that one row sees, and the arithmetic of its softmax over them.</summary>
/// <param name="First">The first of them; those before it are out of reach.</param>
/// <param name="End">One past the last of them, the row's own; those from it on are in the future.</param>
/// <param name="Count">The number of keys in the block.</param>
/// <param name="Span">z: keys further back are masked softly.</param>
/// <param name="Ramp">R; 0 where nothing is masked softly.</param>
internal readonly unsafe record struct VisibleKeys(long First, long End, long Count, float Span, float Ramp)
{
    /// <summary>Replaces scores s by weights m e^s / N, and those of unseen keys by zeros.</summary>
    /// <returns>ln N: the sum of m e^s, and under a soft mask <see cref="LearnedWindowConfig.Epsilon"/> times that of e^s.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float Weigh(float* scores)
    {
        var greatest = float.NegativeInfinity;
        var greatest8 = Vector256.Create(greatest);
        var i = First;
        for (; i + 8 <= End; i += 8) greatest8 = Vector256.Max(greatest8, Vector256.Load(scores + i));
        for (; i < End; i++) greatest = Math.Max(greatest, scores[i]);
        for (var lane = 0; lane < 8; lane++) greatest = Math.Max(greatest, greatest8[lane]);

        float sum = 0;
        var sum8 = Vector256<float>.Zero;
        for (i = First; i + 8 <= End; i += 8)
        {
            var weight = VectorMath.Exp(Vector256.Load(scores + i) - Vector256.Create(greatest));
            weight.Store(scores + i);
            sum8 += weight;
        }
        for (; i < End; i++) sum += scores[i] = MathF.Exp(scores[i] - greatest);
        sum += Vector256.Sum(sum8);
        if (Ramp > 0) sum = Fade(scores) + (float)LearnedWindowConfig.Epsilon * sum;

        var share = 1 / sum;
        for (i = First; i + 8 <= End; i += 8) (Vector256.Load(scores + i) * share).Store(scores + i);
        for (; i < End; i++) scores[i] *= share;
        ClearUnseen(scores);
        return greatest + MathF.Log(sum);
    }

    /// <summary>
    /// Replaces scores by weights p again, and gradients a = dz v^T of the weights by the gradient of the scores, p (a - dz z), times the
    /// scale.
    /// </summary>
    /// <returns>The gradient of z, the span; 0 without a ramp.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float Gradients(float* scores, float* gradients, float logSum, float dot, float scale)
    {
        var i = First;
        for (; i + 8 <= End; i += 8)
        {
            var weight = VectorMath.Exp(Vector256.Load(scores + i) - Vector256.Create(logSum));
            weight.Store(scores + i);
            (weight * (Vector256.Load(gradients + i) - Vector256.Create(dot)) * scale).Store(gradients + i);
        }
        for (; i < End; i++)
        {
            scores[i] = MathF.Exp(scores[i] - logSum);
            gradients[i] = scores[i] * (gradients[i] - dot) * scale;
        }
        ClearUnseen(scores);
        ClearUnseen(gradients);
        return Ramp > 0 ? FadeGradients(scores, gradients, (float)LearnedWindowConfig.Epsilon * dot * scale) / (scale * Ramp) : 0;
    }

    // Multiplies by the mask, which is less than one on the ramp only. Returns the sum of what is left.
    private float Fade(float* weights)
    {
        var i = First;
        for (; i < End && End - 1 - i > Span; i++) weights[i] *= Math.Max(0, Mask(i));
        float sum = 0;
        for (var faded = First; faded < i; faded++) sum += weights[faded];
        var sum8 = Vector256<float>.Zero;
        for (; i + 8 <= End; i += 8) sum8 += Vector256.Load(weights + i);
        for (; i < End; i++) sum += weights[i];
        return sum + Vector256.Sum(sum8);
    }

    // On the ramp weights and gradients are still those of an open mask. Each gradient is that of the mask there, whose sum is the span's
    // gradient; the bounds are included, as in libtorch's clamp.
    private float FadeGradients(float* weights, float* gradients, float leak)
    {
        float sum = 0;
        for (var i = First; i < End && End - 1 - i >= Span; i++)
        {
            var mask = Mask(i);
            if (mask >= 0) sum += gradients[i];
            mask = Math.Max(0, mask);
            gradients[i] = mask * gradients[i] - leak * weights[i];
            weights[i] *= mask;
        }
        return sum;
    }

    private float Mask(long key) => 1 + (Span - (End - 1 - key)) / Ramp;

    private void ClearUnseen(float* row)
    {
        new Span<float>(row, (int)First).Clear();
        new Span<float>(row + End, (int)(Count - End)).Clear();
    }
}
