using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T queries · S keys · H heads

/// <summary>Attention with linear biases (Press et al. 2022, arXiv:2108.12409): head h adds -slope_h (i - j) to the score of query i and key j.</summary>
public sealed class AlibiBias : ScoreBias
{
    private readonly Tensor slopes;

    /// <param name="heads">H.</param>
    /// <param name="part">Which of how many equal parts of the heads these are, where ranks have split them.</param>
    /// <param name="parts">How many there are.</param>
    public AlibiBias(int heads, int part = 0, int parts = 1) : base(nameof(AlibiBias))
    {
        slopes = tensor(Slopes(heads * parts).Skip(heads * part).Take(heads).ToArray(), ScalarType.Float32).DetachFromDisposeScope();    // [H]
        RegisterComponents();
    }

    /// <summary>
    /// 2^(-8h/H) for h = 1..H where H is a power of two. Else the slopes of the next smaller power P, then every other one of 2P until there are H, so
    /// that the heads that are added lie between those that were there.
    /// </summary>
    public static IEnumerable<double> Slopes(int heads)
    {
        var power = 1 << (int)Math.Log2(heads);
        return Series(power, step: 1).Take(power).Concat(Series(2 * power, step: 2).Take(heads - power));
    }

    /// <inheritdoc/>
    public override bool IsLearned => false;

    /// <inheritdoc/>
    public override Tensor forward(Tensor q, Tensor queries, Tensor keys) =>
        slopes.view(-1, 1, 1) * -Distances(queries, keys).unsqueeze(1);                                         // [B or 1, H, T, S]

    private static IEnumerable<double> Series(int heads, int step)
    {
        for (var h = 1; ; h += step) yield return Math.Pow(2, -8.0 * h / heads);
    }
}
