namespace Transformer.Inference.Cpu;

/// <summary>Several states as one.</summary>
/// <param name="states">The states, with names that those of their parts begin with.</param>
internal class JoinedState(params (string Name, MixerState State)[] states) : MixerState
{
    /// <inheritdoc/>
    public sealed override long Bytes => states.Sum(each => each.State.Bytes);

    /// <inheritdoc/>
    public sealed override bool CanTruncate { get; } = Array.TrueForAll(states, each => each.State.CanTruncate);

    /// <summary>One of the states.</summary>
    public MixerState this[int index] => states[index].State;

    /// <inheritdoc/>
    public sealed override void Clear(int row)
    {
        foreach (var (_, state) in states) state.Clear(row);
    }

    /// <inheritdoc/>
    public sealed override void ClearFrom(int row, int length)
    {
        foreach (var (_, state) in states) state.ClearFrom(row, length);
    }

    /// <inheritdoc/>
    public sealed override void Carry(int row, int length)
    {
        foreach (var (_, state) in states) state.Carry(row, length);
    }

    /// <inheritdoc/>
    public sealed override void Copy(int from, int to, int length)
    {
        foreach (var (_, state) in states) state.Copy(from, to, length);
    }

    /// <inheritdoc/>
    public sealed override void KeepUnrotated()
    {
        foreach (var (_, state) in states) state.KeepUnrotated();
    }

    /// <inheritdoc/>
    public sealed override void Drop(int row, int first, int count, int length)
    {
        foreach (var (_, state) in states) state.Drop(row, first, count, length);
    }

    /// <inheritdoc/>
    public sealed override StatePart[] Parts(int row, int length) =>
        [.. from each in states from part in each.State.Parts(row, length) select part with { Name = $"{each.Name}.{part.Name}" }];

    /// <inheritdoc/>
    public sealed override void Dispose()
    {
        foreach (var (_, state) in states) state.Dispose();
    }
}
