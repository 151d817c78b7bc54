using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers;

// N ranks

/// <summary>
/// A rank's part of each parameter under tensor parallelism, as its spec says: rows of the matrices into heads or hidden units, columns of
/// those back into the stream (Shoeybi et al. 2019, section 3). Parameters outside of mixers and MLPs are whole on every rank.
/// </summary>
internal static class TensorParallelSplit
{
    /// <summary>A rank's part of a parameter of the whole model: a view.</summary>
    public static Tensor Cut(ParameterSpec spec, Tensor whole, TensorParallelGroup ranks)
    {
        if (spec.SplitDimension is not { } dimension) return whole;
        var length = whole.shape[dimension] / ranks.Count;
        return whole.narrow(dimension, ranks.Rank * length, length);
    }

    /// <summary>A parameter of the whole model from the parts of all ranks, which must all call this.</summary>
    public static Tensor Join(ParameterSpec spec, Tensor part, TensorParallelGroup ranks) =>
        spec.SplitDimension is { } dimension ? ranks.Join(part, dimension) : part;

    /// <summary>The dimensions of a parameter of the whole model.</summary>
    public static long[] WholeShape(ParameterSpec spec, IEnumerable<long> part, TensorParallelGroup ranks) =>
        [.. part.Select((size, dimension) => dimension == spec.SplitDimension ? size * ranks.Count : size)];
}
