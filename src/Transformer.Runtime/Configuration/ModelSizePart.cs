namespace Transformer.Configuration;

/// <summary>The parameters of one kind of component, all blocks together.</summary>
/// <param name="Name">embedding, positions, attention, mlp, norms, residuals or head.</param>
/// <param name="Parameters">All trainable numbers.</param>
/// <param name="MatrixParameters">
/// Those that are multiplied with every token's vector; not lookups, norms and biases. A tied head has no parameters, yet its product
/// counts.
/// </param>
public sealed record ModelSizePart(string Name, long Parameters, long MatrixParameters);
