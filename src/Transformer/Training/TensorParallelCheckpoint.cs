using Transformer.Checkpoints;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The optimizer state of tensor-parallel ranks in a checkpoint: as ranges of the whole parameters, so that any number of ranks, however
/// they share the model, can read its own part.
/// </summary>
internal static class TensorParallelCheckpoint
{
    /// <summary>This rank's tensors of the checkpoint; all ranks must call this.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="space">The parameters of this rank's share.</param>
    /// <param name="state">The state by name; a name that ends with a parameter's and @0 has one
    /// number for each of the parameter's.</param>
    public static IReadOnlyList<(string Name, Tensor Value)> Parts(
        TensorParallelGroup ranks, ParameterSpace space, IEnumerable<(string Name, Tensor Value)> state)
    {
        var parts = new List<(string Name, Tensor Value)>();
        foreach (var (name, value) in state)
        {
            var (parameter, dimension) = Split(space, name);
            if (dimension == 0) parts.Add((At(name, ranks.Rank * value.numel()), value));
            else if (dimension is { } columns) parts.Add(RangeOfWhole(ranks, name, value.view(parameter!.Shape), columns));
            else if (ranks.Rank == 0) parts.Add((name, value));
        }
        return parts;
    }

    private static (string Name, Tensor Value) RangeOfWhole(TensorParallelGroup ranks, string name, Tensor share, int dimension)
    {
        using var scope = NewDisposeScope();
        var whole = ranks.Join(share, dimension).flatten();
        var (begin, end) = (whole.numel() * ranks.Rank / ranks.Count, whole.numel() * (ranks.Rank + 1) / ranks.Count);
        return (At(name, begin), scope.MoveToOuter(whole.narrow(0, begin, end - begin).clone()));
    }

    /// <summary>Reads this rank's part of a tensor that <see cref="Parts"/>, or any other number of ranks, wrote.</summary>
    public static void ReadInto(TrainingTensors file, TensorParallelGroup ranks, ParameterSpace space, string name, Tensor value)
    {
        var (parameter, dimension) = Split(space, name);
        if (dimension is null) file.ReadInto(name, value);
        else if (dimension == 0) file.ReadInto(At(name, ranks.Rank * value.numel()), value);
        else
        {
            using var scope = NewDisposeScope();
            var whole = empty(value.numel() * ranks.Count, value.dtype, value.device);
            file.ReadInto(name, whole);
            value.copy_(TensorParallelSplit.Cut(parameter!.Spec, whole.view(parameter.Spec.Shape), ranks).flatten());
        }
    }

    private static (ParameterView? Parameter, int? Dimension) Split(ParameterSpace space, string name)
    {
        var parameter = space.Parameters.FirstOrDefault(parameter => name.EndsWith($".{parameter.Name}@0", StringComparison.Ordinal));
        return (parameter, parameter?.Spec.SplitDimension);
    }

    private static string At(string name, long begin) => $"{name[..name.LastIndexOf('@')]}@{begin}";
}
