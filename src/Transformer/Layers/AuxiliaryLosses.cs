using static TorchSharp.torch;

namespace Transformer.Layers;

/// <summary>
/// What the layers of a training pass add to the loss beside the prediction's: the penalty of learned spans, the balance of experts. The
/// terms outlive the scopes of the layers that made them; <see cref="Total"/> hands them over to the scope of whoever made the pass.
/// </summary>
public sealed class AuxiliaryLosses
{
    private readonly List<Tensor> terms = [];

    /// <summary>Adds a scalar, weight included.</summary>
    public void Add(Tensor term) => terms.Add(term.DetachFromDisposeScope());

    /// <summary>Hands the terms over, one by one; whoever takes them frees them.</summary>
    internal IReadOnlyList<Tensor> Take()
    {
        Tensor[] taken = [.. terms];
        terms.Clear();
        return taken;
    }

    /// <summary>The sum of all terms, which end with it: a scalar, or null where there are none.</summary>
    public Tensor? Total()
    {
        if (terms.Count == 0) return null;
        using var all = stack(terms);
        foreach (var term in terms) term.Dispose();
        terms.Clear();
        return all.sum();
    }
}
