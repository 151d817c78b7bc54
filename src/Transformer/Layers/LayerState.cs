namespace Transformer.Layers;

/// <summary>What one layer carries from one step of generation to the next. Changed in place, so it is for inference only.</summary>
public abstract class LayerState : IDisposable
{
    /// <summary>The bytes that the state holds, however much of them is in use.</summary>
    public abstract long Bytes { get; }

    /// <inheritdoc/>
    public abstract void Dispose();
}
