using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Layers;

// N ranks

/// <summary>
/// Which part of each parameter of a model a rank has under tensor parallelism, by the parameter's name. Of matrices that make heads or hidden units ranks have
/// rows, of those that lead back into the stream columns (Shoeybi et al. 2019, section 3); what stands outside of mixers and MLPs all have whole.
/// </summary>
internal static class TensorParallelSplit
{
    private static readonly string[] Outputs = ["o_proj", "down_proj"];
    private static readonly string[] ByColumns = [.. Outputs.Select(output => $"{output}.weight"), "relative_attention_bias.weight"];

    // Whole on each rank, though in mixers and MLPs: what all heads share, the router of experts, and what is added to the sum.
    private static readonly string[] Shared =
        [.. Outputs.Select(output => $"{output}.bias"), "_norm.weight", "value_mix", "gk_proj.0.weight", "distance_embedding.weight", ".gate.weight"];

    /// <summary>Along which dimension a parameter is split; null where every rank has all of it.</summary>
    public static int? Dimension(string name) => !IsWithin(name) || IsShared(name) ? null : EndsWith(name, ByColumns) ? 1 : 0;

    /// <summary>Whether every rank has all of a parameter, but only its own heads or hidden units give it a gradient: those of all ranks have to be added up.</summary>
    public static bool IsPartial(string name) => IsWithin(name) && IsShared(name);

    /// <summary>Whether a layer's outputs are added up over the ranks, so that its bias must be added by one of them only.</summary>
    public static bool IsOutput(string layer) => IsWithin(layer) && EndsWith(layer, Outputs);

    /// <summary>A rank's part of a parameter of the whole model: a view.</summary>
    public static Tensor Cut(string name, Tensor whole, TensorParallelGroup ranks)
    {
        if (Dimension(name) is not { } dimension) return whole;
        var length = whole.shape[dimension] / ranks.Count;
        return whole.narrow(dimension, ranks.Rank * length, length);
    }

    /// <summary>A parameter of the whole model from the parts of all ranks, which must all ask for it.</summary>
    public static Tensor Join(string name, Tensor part, TensorParallelGroup ranks) => Dimension(name) is { } dimension ? ranks.Join(part, dimension) : part;

    /// <summary>The dimensions of a parameter of the whole model.</summary>
    public static long[] WholeShape(string name, IEnumerable<long> part, TensorParallelGroup ranks) =>
        [.. part.Select((size, dimension) => dimension == Dimension(name) ? size * ranks.Count : size)];

    private static bool IsWithin(string name) => name.Contains(".self_attn.") || name.Contains(".mlp.") || name.Contains("position_bias.");

    private static bool IsShared(string name) => EndsWith(name, Shared);

    private static bool EndsWith(string name, string[] endings) => endings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal));
}
