using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// T tokens · W window

/// <summary>
/// The last W tokens (Child et al. 2019, arXiv:1904.10509): the query at position i sees key j if and only if i - W &lt; j &lt;= i.
/// </summary>
/// <param name="config">W.</param>
public sealed class SlidingWindow(SlidingWindowConfig config) : AttentionWindow(nameof(SlidingWindow))
{
    private readonly int size = config.Size;

    /// <inheritdoc/>
    public override int Keys(int length) => Math.Min(size, length);

    /// <inheritdoc/>
    public override Window forward(Tensor x, ForwardContext context) => new(full([1, 1, x.shape[1]], size - 1f, device: x.device), 0, size);
}
