using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How rotary positions are stretched so that a model trained on short texts reads longer ones.</summary>
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

    private protected static IEnumerable<ConfigProblem> LengthProblems(int originalLength)
    {
        if (originalLength < 1) yield return new("original_length", $"found {originalLength}, expected 1 or more");
    }
}

/// <summary>Every wavelength s times longer, as if positions were divided by s (Chen et al. 2023).</summary>
public sealed record LinearScalingConfig : RotaryScalingConfig;

/// <summary>A base so much greater that the longest wavelength becomes s times longer and the shortest stays (bloc97 2023).</summary>
public sealed record NtkScalingConfig : RotaryScalingConfig;

/// <summary>NTK scaling that begins past the original length and grows with the text (emozilla 2023).</summary>
public sealed record DynamicNtkScalingConfig : RotaryScalingConfig
{
    /// <summary>T0, the length of the texts of training; up to it nothing changes.</summary>
    public required int OriginalLength { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems() => base.Problems().Concat(LengthProblems(OriginalLength));
}

/// <summary>Long wavelengths become s times longer, short ones stay, and scores grow with ln s (YaRN, Peng et al. 2023).</summary>
public sealed record YarnScalingConfig : RotaryScalingConfig
{
    /// <summary>T0, the length of the texts of training.</summary>
    public required int OriginalLength { get; init; }

    /// <summary>A pair that turns this often over the original length, or more often, stays as it is; 32 as in the paper.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>A pair that turns this often over the original length, or less often, becomes s times slower; 1 as in the paper.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>What cosines and sines are multiplied by: 0.1 ln s + 1.</summary>
    public double Amplitude() => 0.1 * Math.Log(Factor) + 1;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems().Concat(LengthProblems(OriginalLength))) yield return problem;
        if (BetaSlow <= 0) yield return new("beta_slow", $"found {BetaSlow}, expected more than 0");
        if (BetaFast <= BetaSlow) yield return new("beta_fast", $"found {BetaFast}, expected more than beta_slow {BetaSlow}");
    }
}

/// <summary>Wavelengths beyond a share of the original length become s times longer, those below a smaller share stay (Llama 3.1).</summary>
public sealed record Llama3ScalingConfig : RotaryScalingConfig
{
    /// <summary>T0, the length of the texts of training; 8,192 for Llama 3.</summary>
    public required int OriginalLength { get; init; }

    /// <summary>A pair that turns this often over the original length, or less often, becomes s times slower; 1 as in Llama 3.1.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>A pair that turns this often over the original length, or more often, stays as it is; 4 as in Llama 3.1.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems().Concat(LengthProblems(OriginalLength))) yield return problem;
        if (LowFrequencyFactor <= 0) yield return new("low_frequency_factor", $"found {LowFrequencyFactor}, expected more than 0");
        if (HighFrequencyFactor <= LowFrequencyFactor)
            yield return new("high_frequency_factor", $"found {HighFrequencyFactor}, expected more than low_frequency_factor {LowFrequencyFactor}");
    }
}
