using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.KindsSample;

// B rows · T tokens · C width

/// <summary>The sum of a text's values so far. How many they are, the context knows.</summary>
/// <param name="sum">[B, C]</param>
public sealed class AverageState(Tensor sum) : LayerState(sum)
{
    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <summary>Sums that go on from this state, which then holds that of each row's last token; padding is left out.</summary>
    /// <param name="sums">Those of the new tokens alone: [B, T, C].</param>
    /// <param name="context">How many of its T tokens are text in each row.</param>
    /// <returns>[B, T, C]</returns>
    internal Tensor Continue(Tensor sums, ForwardContext context)
    {
        sums = sums + sum.unsqueeze(1);
        for (var row = 0; row < sum.shape[0]; row++)
            if (context.NewTokensOf(row, sums.shape[1]) is > 0 and var count) sum[row].copy_(sums[row, count - 1]);
        return sums;
    }

    /// <inheritdoc/>
    public override AverageState Narrow(int first, int count) => new(sum.narrow(0, first, count));
}
