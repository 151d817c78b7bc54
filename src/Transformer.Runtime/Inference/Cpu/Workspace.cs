using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens

/// <summary>The buffers of a batch, shared by all blocks: each overwrites what the one before has left.</summary>
/// <param name="tokens">N, the most tokens of a batch.</param>
internal sealed class Workspace(int tokens) : IDisposable
{
    private readonly Dictionary<(string Name, int Width), Activations> buffers = [];
    private readonly Dictionary<(int Thread, int Length), NativeArray<float>> scratches = [];

    /// <summary>N, the most tokens of a batch.</summary>
    public int Tokens { get; } = tokens;

    /// <summary>The buffer of this name and width, the same for every caller.</summary>
    public Activations Buffer(string name, int width)
    {
        if (!buffers.TryGetValue((name, width), out var buffer)) buffers.Add((name, width), buffer = new Activations(Tokens, width));
        return buffer;
    }

    /// <summary>A thread's own scratch memory of this length, the same for every caller.</summary>
    public NativeArray<float> Scratch(int thread, int length)
    {
        if (!scratches.TryGetValue((thread, length), out var scratch)) scratches.Add((thread, length), scratch = new(length));
        return scratch;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var scratch in scratches.Values) scratch.Dispose();
        foreach (var buffer in buffers.Values) buffer.Dispose();
    }
}
