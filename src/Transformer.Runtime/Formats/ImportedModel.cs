using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Formats;

/// <summary>A model of another tool, in this library's terms.</summary>
/// <param name="Model">The architecture.</param>
/// <param name="Tensors">The weights by our names, in the type of the source.</param>
/// <param name="Origin">What it was read from: the format and the path.</param>
/// <param name="Tokenizer">What makes the model's tokens, where the file says so itself.</param>
/// <param name="ChatTemplate">The template by which a conversation becomes a prompt, where the model has one.</param>
/// <param name="Source">The open files from which the tensors are read; closed with the model.</param>
public sealed record ImportedModel(
    ModelConfig Model,
    IReadOnlyDictionary<string, StoredTensor> Tensors,
    string Origin,
    Tokenizer? Tokenizer = null,
    string? ChatTemplate = null,
    IDisposable? Source = null) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Source?.Dispose();
}
