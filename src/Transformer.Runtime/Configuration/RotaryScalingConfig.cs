using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// T tokens · T0 tokens of a text of training · D head width · s factor · i pair

/// <summary>
/// How rotary positions are scaled so that a model trained on short texts reads longer ones: pairs rotate slower, so that texts s times
/// longer than those of training stay within angles that training has seen.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(LinearScalingConfig), "linear")]
[JsonDerivedType(typeof(NtkScalingConfig), "ntk")]
[JsonDerivedType(typeof(DynamicNtkScalingConfig), "dynamic_ntk")]
[JsonDerivedType(typeof(YarnScalingConfig), "yarn")]
[JsonDerivedType(typeof(Llama3ScalingConfig), "llama3")]
public abstract record RotaryScalingConfig : IValidated
{
    /// <summary>s, how many times longer texts become; 1 changes nothing, but for dynamic_ntk past its original length.</summary>
    public required double Factor { get; init; }

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (Factor < 1) yield return new("factor", $"found {Factor}, expected 1 or more");
    }

    /// <summary>The angle by which pair i rotates from one position to the next.</summary>
    /// <param name="theta">The base without scaling.</param>
    /// <param name="headWidth">D, even.</param>
    /// <param name="length">T, the length of the text; only dynamic NTK asks for it.</param>
    /// <returns>[D/2]</returns>
    public abstract double[] Frequencies(double theta, int headWidth, long length);

    /// <summary>What cosines and sines are multiplied by.</summary>
    public virtual double Amplitude => 1;

    /// <summary>theta^(-2i/D).</summary>
    internal static double[] Unscaled(double theta, int headWidth) =>
        [.. Enumerable.Range(0, headWidth / 2).Select(pair => Math.Pow(theta, -2.0 * pair / headWidth))];

    // The base with which the slowest pair, theta^(-(D-2)/D), rotates s times slower; the first, theta^0, rotates as before.
    private protected static double NtkBase(double theta, double factor, double headWidth) =>
        theta * Math.Pow(factor, headWidth / (headWidth - 2));

    // A share of the frequency is kept, the rest becomes s times slower.
    private protected double Blend(double frequency, double kept) => kept * frequency + (1 - kept) * (frequency / Factor);

    private protected static IEnumerable<ConfigProblem> LengthProblems(int originalLength)
    {
        if (originalLength < 1) yield return new("original_length", $"found {originalLength}, expected 1 or more");
    }
}

/// <summary>Every wavelength s times longer, as if positions were divided by s (Chen et al. 2023).</summary>
public sealed record LinearScalingConfig : RotaryScalingConfig
{
    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int headWidth, long length) =>
        [.. Unscaled(theta, headWidth).Select(frequency => frequency / Factor)];
}

/// <summary>A base so much greater that the longest wavelength becomes s times longer and the shortest stays (bloc97 2023).</summary>
public sealed record NtkScalingConfig : RotaryScalingConfig
{
    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int headWidth, long length) =>
        Unscaled(NtkBase(theta, Factor, headWidth), headWidth);
}

/// <summary>NTK scaling that begins past the original length and grows with the text (emozilla 2023).</summary>
public sealed record DynamicNtkScalingConfig : RotaryScalingConfig
{
    /// <summary>T0, the length of the texts of training; up to it nothing changes.</summary>
    public required int OriginalLength { get; init; }

    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int headWidth, long length) =>
        Unscaled(NtkBase(theta, Growth(length), headWidth), headWidth);

    // s T / T0 - (s - 1): 1 at T = T0, and growing from there on.
    private double Growth(long length) => length > OriginalLength ? Factor * length / OriginalLength - (Factor - 1) : 1;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems() => base.Problems().Concat(LengthProblems(OriginalLength));
}

/// <summary>Long wavelengths become s times longer, short ones stay, and scores grow with ln s (YaRN, Peng et al. 2023).</summary>
public sealed record YarnScalingConfig : RotaryScalingConfig
{
    /// <summary>T0, the length of the texts of training.</summary>
    public required int OriginalLength { get; init; }

    /// <summary>A pair that rotates this often over the original length, or more often, stays as it is; 32 as in the paper.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>
    /// A pair that rotates this often over the original length, or less often, becomes s times slower; 1 as in the paper.
    /// </summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>0.1 ln s + 1.</summary>
    public override double Amplitude => 0.1 * Math.Log(Factor) + 1;

    // The ramp goes from the pair that rotates beta_fast times over T0 tokens to the one that rotates beta_slow times, both rounded
    // outwards.
    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int headWidth, long length)
    {
        double PairWith(double rotations) => headWidth * Math.Log(OriginalLength / (rotations * 2 * Math.PI)) / (2 * Math.Log(theta));
        var first = Math.Max(Math.Floor(PairWith(BetaFast)), 0);
        var last = Math.Min(Math.Ceiling(PairWith(BetaSlow)), headWidth - 1);
        return
        [
            .. Unscaled(theta, headWidth).Select((frequency, pair) =>
                Blend(frequency, 1 - Math.Clamp((pair - first) / Math.Max(last - first, 0.001), 0, 1))),
        ];
    }

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems().Concat(LengthProblems(OriginalLength))) yield return problem;
        if (BetaSlow <= 0) yield return new("beta_slow", $"found {BetaSlow}, expected more than 0");
        if (BetaFast <= BetaSlow) yield return new("beta_fast", $"found {BetaFast}, expected more than beta_slow {BetaSlow}");
    }
}

/// <summary>
/// Wavelengths beyond a share of the original length become s times longer, those below a smaller share stay (Llama 3.1).
/// </summary>
public sealed record Llama3ScalingConfig : RotaryScalingConfig
{
    /// <summary>T0, the length of the texts of training; 8,192 for Llama 3.</summary>
    public required int OriginalLength { get; init; }

    /// <summary>
    /// A pair that rotates this often over the original length, or less often, becomes s times slower; 1 as in Llama 3.1.
    /// </summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>A pair that rotates this often over the original length, or more often, stays as it is; 4 as in Llama 3.1.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    // The ramp of YaRN over the number of rotations within T0 tokens.
    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int headWidth, long length) => [.. Unscaled(theta, headWidth).Select(frequency =>
    {
        var rotations = OriginalLength * frequency / (2 * Math.PI);
        var kept = (rotations - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return Blend(frequency, Math.Clamp(kept, 0, 1));
    })];

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems().Concat(LengthProblems(OriginalLength))) yield return problem;
        if (LowFrequencyFactor <= 0) yield return new("low_frequency_factor", $"found {LowFrequencyFactor}, expected more than 0");
        if (HighFrequencyFactor <= LowFrequencyFactor)
        {
            yield return new(
                "high_frequency_factor", $"found {HighFrequencyFactor}, expected more than low_frequency_factor {LowFrequencyFactor}");
        }
    }
}
