using static TorchSharp.torch;

namespace Transformer.Distributed;

/// <summary>A single process: sums are its own numbers.</summary>
public sealed class SingleProcess : ICollective
{
    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Ranks => 1;

    /// <inheritdoc/>
    public string CurrentOperation { get; set; } = "";

    /// <inheritdoc/>
    public CollectiveWork ReduceScatter(Tensor buffer) => new(Task.CompletedTask);

    /// <inheritdoc/>
    public CollectiveWork AllGather(Tensor buffer) => new(Task.CompletedTask);

    /// <inheritdoc/>
    public void Broadcast(Tensor tensor, int root)
    {
    }

    /// <inheritdoc/>
    public void Abort(int code) => Environment.Exit(code);

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
