using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>A model that is ready to generate: its weights are loaded and its tokenizer is known.</summary>
/// <param name="Model">The model.</param>
/// <param name="Tokenizer">What its ids mean.</param>
public sealed record LoadedInference(InferenceModel Model, Tokenizer Tokenizer) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();
}
