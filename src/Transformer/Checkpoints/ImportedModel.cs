using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>A model that somebody else made, in our terms.</summary>
/// <param name="Model">The architecture.</param>
/// <param name="Tensors">The weights by our names, on the CPU, in the type of the source.</param>
/// <param name="Origin">What it was read from: the format and the path.</param>
public sealed record ImportedModel(ModelConfig Model, IReadOnlyDictionary<string, Tensor> Tensors, string Origin) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in Tensors.Values) tensor.Dispose();
    }
}
