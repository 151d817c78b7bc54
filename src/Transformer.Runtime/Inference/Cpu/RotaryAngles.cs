using System.Runtime.Intrinsics;
using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · D head width

/// <summary>
/// The angles of a batch's tokens, made once and used by every block; the pairs are (i, i + D/2). Angles are in double precision: that of
/// position 8,191 has an ulp of 5e-4 in single precision.
/// </summary>
internal sealed unsafe class RotaryAngles : IDisposable
{
    private readonly RotaryPositionConfig config;
    private readonly int headWidth, mostKeys;
    private readonly double amplitude;
    private readonly double[] frequencies;
    private readonly NativeArray<float> cos, sin;
    private NativeArray<float>? keyCos, keySin;
    private int keyRegime, keysReady;
    private double[] grown = [];
    private int grownTo;

    /// <param name="config">The base of the wavelengths and how they are scaled.</param>
    /// <param name="headWidth">D, even.</param>
    /// <param name="tokens">The most tokens of a batch.</param>
    /// <param name="length">The most tokens of a text.</param>
    public RotaryAngles(RotaryPositionConfig config, int headWidth, int tokens, int length)
    {
        (this.config, this.headWidth, mostKeys, amplitude) = (config, headWidth, length, config.Amplitude);
        frequencies = Frequencies(0);
        (cos, sin) = (new((long)tokens * headWidth / 2), new((long)tokens * headWidth / 2));
    }

    /// <summary>Whether a text of this length has other angles than a short one, so that its cached keys must be rotated again.</summary>
    public bool HasGrownAt(int length) => config.Scaling is DynamicNtkScalingConfig dynamic && length > dynamic.OriginalLength;

    /// <summary>Whether that can happen, so that keys are cached unrotated.</summary>
    public bool FollowsLength => config.Scaling is DynamicNtkScalingConfig;

    /// <summary>Makes the angles of a batch.</summary>
    public void Prepare(TokenBatch batch)
    {
        for (var token = 0; token < batch.Tokens; token++)
            Angles(batch.Position(token), batch.Length(token), cos.Pointer + token * headWidth / 2, sin.Pointer + token * headWidth / 2);
    }

    /// <summary>Rotates the vectors of a token's heads in place.</summary>
    /// <param name="token">The token.</param>
    /// <param name="x">[heads, D]</param>
    /// <param name="heads">How many.</param>
    public void Rotate(int token, float* x, int heads)
    {
        for (var head = 0; head < heads; head++)
            Rotate(x + head * headWidth, cos.Pointer + token * headWidth / 2, sin.Pointer + token * headWidth / 2, headWidth);
    }

    /// <summary>Rotates one vector by the given angles.</summary>
    public static void Rotate(float* x, float* cos, float* sin, int width)
    {
        var (half, i) = (width / 2, 0);
        var upper = x + half;
        for (; i + 8 <= half; i += 8)
        {
            var (a, b, c, s) = (Vector256.Load(x + i), Vector256.Load(upper + i), Vector256.Load(cos + i), Vector256.Load(sin + i));
            (a * c - b * s).Store(x + i);
            (b * c + a * s).Store(upper + i);
        }
        for (; i < half; i++) (x[i], upper[i]) = (x[i] * cos[i] - upper[i] * sin[i], upper[i] * cos[i] + x[i] * sin[i]);
    }

    /// <summary>The cosines and sines of a position in a text of a length: 2 x [D/2].</summary>
    public void Angles(int position, int length, float* cosines, float* sines)
    {
        var angles = frequencies;
        if (HasGrownAt(length))
        {
            if (grownTo != length) (grown, grownTo) = (Frequencies(length), length);
            angles = grown;
        }
        for (var i = 0; i < angles.Length; i++)
        {
            var (s, c) = Math.SinCos(position * angles[i]);
            (cosines[i], sines[i]) = ((float)(amplitude * c), (float)(amplitude * s));
        }
    }

    /// <summary>
    /// The angles of all positions of a text of a length, from 0 on, for keys that are cached unrotated: 2 x [length, D/2].
    /// </summary>
    public (nint Cosines, nint Sines) OfKeys(int length)
    {
        var half = headWidth / 2;
        keyCos ??= new((long)mostKeys * half);
        keySin ??= new((long)mostKeys * half);
        var regime = HasGrownAt(length) ? length : 0;
        if (keyRegime != regime) (keyRegime, keysReady) = (regime, 0);
        for (; keysReady < length; keysReady++)
            Angles(keysReady, length, keyCos.Pointer + keysReady * half, keySin.Pointer + keysReady * half);
        return ((nint)keyCos.Pointer, (nint)keySin.Pointer);
    }

    private double[] Frequencies(int length) => config.Frequencies(headWidth, length);

    /// <inheritdoc/>
    public void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
        keyCos?.Dispose();
        keySin?.Dispose();
    }
}
