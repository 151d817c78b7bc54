using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T queries · S keys · H heads

/// <summary>
/// Attention with linear biases (Press et al. 2022, arXiv:2108.12409): head h adds -slope_h (i - j) to the score of query i and key j.
/// </summary>
public sealed class AlibiBias : ScoreBias
{
    private readonly Tensor slopes;

    /// <param name="heads">H.</param>
    /// <param name="part">Which of how many equal parts of the heads these are, where ranks have split them.</param>
    /// <param name="parts">How many there are.</param>
    public AlibiBias(int heads, int part = 0, int parts = 1) : base(nameof(AlibiBias))
    {
        var own = AlibiPositionConfig.Slopes(heads * parts).Skip(heads * part).Take(heads);
        slopes = tensor(own.ToArray(), ScalarType.Float32).DetachFromDisposeScope();                            // [H]
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override bool IsLearned => false;

    /// <inheritdoc/>
    public override Tensor forward(Tensor q, Tensor queries, Tensor keys) =>
        slopes.view(-1, 1, 1) * -Distances(queries, keys).unsqueeze(1);                                         // [B or 1, H, T, S]
}
