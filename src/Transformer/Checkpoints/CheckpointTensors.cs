using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>Copies the tensors of checkpoints and of imported models into a model of libtorch's.</summary>
public static class CheckpointTensors
{
    /// <summary>A new CPU tensor with the file's type.</summary>
    public static Tensor Read(this CheckpointFolder checkpoint, string name) => checkpoint.Tensor(name).ToTensor();

    /// <summary>The tensors that a run resumes from.</summary>
    /// <exception cref="InputException">The checkpoint has none.</exception>
    public static TrainingTensors OpenTraining(this CheckpointFolder checkpoint) => TrainingTensors.Open(checkpoint.Folder);

    /// <summary>Copies all tensors into a model. Names and shapes are compared first: a model is loaded whole or not touched.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="model">The model's parameters and buffers by name; other types than the file's are converted to.</param>
    /// <exception cref="InputException">Names or shapes differ; the message lists all that do.</exception>
    public static void CopyInto(this CheckpointFolder checkpoint, IEnumerable<(string Name, Tensor Parameter)> model)
    {
        var parameters = model.ToDictionary(pair => pair.Name, pair => pair.Parameter);
        checkpoint.Check(parameters.Select(pair => (pair.Key, pair.Value.shape)));
        foreach (var (name, parameter) in parameters) checkpoint.Tensor(name).CopyInto(parameter);
    }

    /// <summary>
    /// Copies all tensors into a model or, where several ranks share it, the parts of them that are this rank's into its share.
    /// </summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="model">As for the whole model.</param>
    /// <param name="group">The ranks; null where the model is whole.</param>
    /// <exception cref="InputException">Names or shapes differ; the message lists all that do.</exception>
    public static void CopyInto(
        this CheckpointFolder checkpoint, IEnumerable<(string Name, Tensor Parameter)> model, TensorParallelGroup? group)
    {
        if (group is null)
        {
            checkpoint.CopyInto(model);
            return;
        }
        var parameters = model.ToDictionary(pair => pair.Name, pair => pair.Parameter);
        var specs = checkpoint.Model.Parameters().ToDictionary(spec => spec.Name);
        checkpoint.Check(parameters.Select(pair => (pair.Key, WholeShape(pair.Key, pair.Value.shape))));
        using var gradient = no_grad();
        foreach (var (name, parameter) in parameters)
        {
            using var scope = NewDisposeScope();    // no more than one whole tensor at a time
            parameter.copy_(TensorParallelSplit.Cut(specs[name], checkpoint.Read(name), group));
        }

        long[] WholeShape(string name, long[] shape) =>
            specs.TryGetValue(name, out var spec) ? TensorParallelSplit.WholeShape(spec, shape, group) : shape;
    }

    /// <summary>Copies all tensors into a model. Names and shapes are compared first: a model is loaded whole or not touched.</summary>
    /// <param name="imported">The model as it was read.</param>
    /// <param name="model">The model's parameters by name; other types than the tensors' are converted to.</param>
    /// <exception cref="InputException">Names or shapes differ; the message lists all that do.</exception>
    public static void CopyInto(this ImportedModel imported, IEnumerable<(string Name, Tensor Parameter)> model)
    {
        var parameters = model.ToDictionary(pair => pair.Name, pair => pair.Parameter);
        TensorCheck.Check(
            imported.Origin,
            found: imported.Tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.Shape),
            expected: parameters.ToDictionary(pair => pair.Key, pair => (IReadOnlyList<long>)pair.Value.shape));
        foreach (var (name, parameter) in parameters) imported.Tensors[name].CopyInto(parameter);
    }
}
