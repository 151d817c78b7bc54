using static TorchSharp.torch;

namespace Transformer.Layers;

/// <summary>
/// What the layers of a training pass add to the loss beside the prediction's: the penalty of learned spans, the balance of experts. The
/// terms outlive the scopes of their layers; <see cref="Total"/> moves them to the scope of the caller of the pass.
/// </summary>
public sealed class AuxiliaryLosses
{
    private readonly List<Tensor> terms = [];

    /// <summary>Adds a scalar, weight included.</summary>
    public void Add(Tensor term) => terms.Add(term.DetachFromDisposeScope());

    /// <summary>Hands over the terms one by one; the caller disposes them.</summary>
    internal IReadOnlyList<Tensor> Take()
    {
        Tensor[] taken = [.. terms];
        terms.Clear();
        return taken;
    }

    /// <summary>The sum of all terms, which it disposes: a scalar, or null where there are none.</summary>
    public Tensor? Total()
    {
        if (terms.Count == 0) return null;
        using var all = stack(terms);
        foreach (var term in terms) term.Dispose();
        terms.Clear();
        return all.sum();
    }
}
