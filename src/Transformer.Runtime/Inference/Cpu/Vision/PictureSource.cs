namespace Transformer.Inference.Cpu.Vision;

// N vectors of a picture · C width

/// <summary>The pictures that the blocks of a model see by cross-attention, one at a time.</summary>
/// <param name="vectorsOf">The vectors of the picture that an id stands for: [N, C].</param>
/// <param name="workspace">Buffers of N vectors.</param>
internal sealed unsafe class PictureSource(Func<int, ReadOnlyMemory<float>> vectorsOf, Workspace workspace)
{
    /// <summary>Buffers of N vectors.</summary>
    public Workspace Workspace { get; } = workspace;

    /// <summary>The vectors of a picture, until the next one is asked for: [N, C].</summary>
    /// <param name="id">What stands for it in the text.</param>
    /// <param name="width">C.</param>
    public Activations VectorsOf(int id, int width)
    {
        var vectors = vectorsOf(id).Span;
        var buffer = Workspace.Buffer("picture", width);
        vectors.CopyTo(new Span<float>(buffer.Values, vectors.Length));
        return buffer;
    }
}
