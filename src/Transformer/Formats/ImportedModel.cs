using Transformer.Configuration;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Formats;

/// <summary>A model that somebody else made, in our terms.</summary>
/// <param name="Model">The architecture.</param>
/// <param name="Tensors">The weights by our names, on the CPU, in the type of the source.</param>
/// <param name="Origin">What it was read from: the format and the path.</param>
/// <param name="Tokenizer">What makes the model's tokens, where the file says so itself.</param>
/// <param name="ChatTemplate">The template by which a conversation becomes a prompt, where the model has one.</param>
public sealed record ImportedModel(
    ModelConfig Model, IReadOnlyDictionary<string, Tensor> Tensors, string Origin, Tokenizer? Tokenizer = null, string? ChatTemplate = null) : IDisposable
{
    /// <summary>Copies all tensors into a model. Names and shapes are compared first: a model is filled whole or not touched.</summary>
    /// <param name="model">The model's parameters by name; other types than the tensors' are converted to.</param>
    /// <exception cref="InputException">Names or shapes differ; the message lists all that do.</exception>
    public void CopyInto(IEnumerable<(string Name, Tensor Parameter)> model)
    {
        var parameters = model.ToDictionary(pair => pair.Name, pair => pair.Parameter);
        TensorCheck.Check(
            Origin,
            found: Tensors.ToDictionary(tensor => tensor.Key, tensor => (IReadOnlyList<long>)tensor.Value.shape),
            expected: parameters.ToDictionary(pair => pair.Key, pair => (IReadOnlyList<long>)pair.Value.shape));
        using var gradient = no_grad();
        foreach (var (name, parameter) in parameters) parameter.copy_(Tensors[name]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in Tensors.Values) tensor.Dispose();
    }
}
