using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers;

// B batch · T tokens

/// <summary>Where groups of the tokens of a pass end.</summary>
/// <param name="Config">What tells boundaries.</param>
/// <param name="Ends">1 at a token that ends its group, else 0: [B, T], without a graph.</param>
/// <param name="Logits">The logits of those that a network predicts, with their graph: [B, T]; null where nothing predicts them.</param>
public sealed record TokenBoundaries(BoundaryConfig Config, Tensor Ends, Tensor? Logits) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        Ends.Dispose();
        Logits?.Dispose();
    }
}
