namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width

/// <summary>
/// The residual stream between two sub-layers. What the last of them gave is not added yet, so that the next norm can do it.
/// </summary>
/// <param name="X">[B, T, C], for hyper-connections [B, T, n, C]</param>
/// <param name="Added">What is still to be added; null where there is nothing.</param>
internal sealed record ResidualStream(Value X, Value? Added = null)
{
    public Value Sum() => Added is null ? X : X + Added;
}
