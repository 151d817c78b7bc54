namespace Transformer.Configuration;

// T tokens · T0 tokens of a text of training · D head width · s factor · i pair

/// <summary>
/// How fast each pair of a rotary head turns, unscaled theta^(-2i/D), and how scalings slow it down so that texts s times longer than those of training stay
/// within angles that training has seen.
/// </summary>
public static class RotaryScaling
{
    /// <summary>The angle by which pair i turns from one position to the next.</summary>
    /// <param name="config">Theta and the scaling.</param>
    /// <param name="headWidth">D, even.</param>
    /// <param name="length">T, the length of the text; only dynamic NTK asks for it.</param>
    /// <returns>[D/2]</returns>
    public static double[] Frequencies(RotaryPositionConfig config, int headWidth, long length) => config.Scaling switch
    {
        null => Plain(config.Theta, headWidth),
        LinearScalingConfig linear => [.. Plain(config.Theta, headWidth).Select(frequency => frequency / linear.Factor)],
        NtkScalingConfig ntk => Plain(Ntk(config.Theta, ntk.Factor, headWidth), headWidth),
        DynamicNtkScalingConfig dynamic => Plain(Ntk(config.Theta, Growth(dynamic, length), headWidth), headWidth),
        YarnScalingConfig yarn => Yarn(yarn, config.Theta, headWidth),
        Llama3ScalingConfig llama => Llama3(llama, Plain(config.Theta, headWidth)),
        var other => throw Kind.Unknown("model.position.scaling", other, "rotation"),
    };

    /// <summary>What cosines and sines are multiplied by: 1 but for YaRN, which sharpens the scores of long texts.</summary>
    public static double Amplitude(RotaryPositionConfig config) => config.Scaling is YarnScalingConfig yarn ? yarn.Amplitude() : 1;

    private static double[] Plain(double theta, int headWidth) => [.. Enumerable.Range(0, headWidth / 2).Select(pair => Math.Pow(theta, -2.0 * pair / headWidth))];

    // The base with which the slowest pair, theta^(-(D-2)/D), turns s times slower; the first, theta^0, turns as before.
    private static double Ntk(double theta, double factor, double headWidth) => theta * Math.Pow(factor, headWidth / (headWidth - 2));

    // s T / T0 - (s - 1): 1 at T = T0, and growing from there on.
    private static double Growth(DynamicNtkScalingConfig dynamic, long length) =>
        length > dynamic.OriginalLength ? dynamic.Factor * length / dynamic.OriginalLength - (dynamic.Factor - 1) : 1;

    // The ramp goes from the pair that turns beta_fast times over T0 tokens to the one that turns beta_slow times, both rounded outwards.
    private static double[] Yarn(YarnScalingConfig yarn, double theta, int headWidth)
    {
        double PairThatTurns(double times) => headWidth * Math.Log(yarn.OriginalLength / (times * 2 * Math.PI)) / (2 * Math.Log(theta));
        var first = Math.Max(Math.Floor(PairThatTurns(yarn.BetaFast)), 0);
        var last = Math.Min(Math.Ceiling(PairThatTurns(yarn.BetaSlow)), headWidth - 1);
        return [.. Plain(theta, headWidth).Select((frequency, pair) => Blend(frequency, 1 - Math.Clamp((pair - first) / Math.Max(last - first, 0.001), 0, 1), yarn.Factor))];
    }

    // The same ramp over the number of turns within T0 tokens.
    private static double[] Llama3(Llama3ScalingConfig llama, double[] frequencies) => [.. frequencies.Select(frequency =>
    {
        var turns = llama.OriginalLength * frequency / (2 * Math.PI);
        var kept = (turns - llama.LowFrequencyFactor) / (llama.HighFrequencyFactor - llama.LowFrequencyFactor);
        return Blend(frequency, Math.Clamp(kept, 0, 1), llama.Factor);
    })];

    private static double Blend(double frequency, double kept, double factor) => kept * frequency + (1 - kept) * (frequency / factor);
}
