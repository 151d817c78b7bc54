namespace Transformer.Configuration;

/// <summary>What the feed-forward layer of one block costs beside its parameters.</summary>
/// <param name="MatrixParameters">The numbers of the matrices that are multiplied with a token's vector.</param>
/// <param name="Activations">About how many numbers a token leaves for the backward pass, the layer's input not counted.</param>
/// <param name="Workspace">
/// About how many numbers a token takes beside those while the layer is worked on, forward or backward, at most.
/// </param>
public sealed record MlpCost(long MatrixParameters, long Activations, long Workspace);
