using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// D head width · F feature width

/// <summary>The features of one query or key, as <see cref="LinearAttentionConfig"/> defines them.</summary>
internal static unsafe class FeatureVector
{
    /// <summary>Whether these features are implemented.</summary>
    public static bool Supports(LinearFeatures features) => features is LinearFeatures.Identity
        or LinearFeatures.UnitLength or LinearFeatures.Elu or LinearFeatures.Dpfp or LinearFeatures.Taylor;

    /// <summary>phi(x).</summary>
    /// <param name="config">The rule.</param>
    /// <param name="x">[D]</param>
    /// <param name="width">D.</param>
    /// <param name="features">[F]; must not overlap x.</param>
    public static void Of(LinearAttentionConfig config, float* x, int width, float* features)
    {
        switch (config.Rule.Features)
        {
            case LinearFeatures.Identity:
                VectorKernels.Copy(x, features, width);
                break;
            case LinearFeatures.Elu:
                for (var i = 0; i < width; i++) features[i] = x[i] > 0 ? x[i] + 1 : MathF.Exp(x[i]);
                break;
            case LinearFeatures.Dpfp:
                Dpfp(x, width, config.Shifts, features);
                break;
            case LinearFeatures.Taylor:
                Taylor(x, width, features);
                break;
            case LinearFeatures.UnitLength:
                var inverse = 1 / MathF.Sqrt(VectorMath.Dot(x, x, width) + (float)LinearAttentionConfig.UnitEpsilon);
                VectorKernels.Scale(inverse, x, features, width);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(config), config.Rule.Features, $"rule {config.Rule}: no such features");
        }
    }

    // Component 2 D (j - 1) + i is r_i r_(i + j) with r = relu([x, -x]).
    private static void Dpfp(float* x, int width, int shifts, float* features)
    {
        for (var j = 1; j <= shifts; j++)
            for (var i = 0; i < 2 * width; i++) *features++ = Rectified(i) * Rectified((i + j) % (2 * width));

        float Rectified(int i) => Math.Max(0, i < width ? x[i] : -x[i - width]);
    }

    // 1, the components over D^(1/4), and their products over the root of two.
    private static void Taylor(float* x, int width, float* features)
    {
        var scale = (float)(1 / Math.Pow(width, 0.25));
        *features++ = 1;
        for (var i = 0; i < width; i++) *features++ = scale * x[i];
        for (var i = 0; i < width; i++)
            for (var j = 0; j < width; j++) *features++ = scale * x[i] * (scale * x[j]) * 0.70710678f;
    }
}
