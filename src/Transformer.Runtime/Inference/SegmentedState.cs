using Transformer.Configuration;

namespace Transformer.Inference;

// B rows · T words of a segment · m memory tokens · C width

/// <summary>
/// Texts that are read segment by segment: the state of each row's present segment, with what its mixers remember of those before, and the
/// memory tokens with which it began. Its size does not depend on how long the texts are.
/// </summary>
public sealed class SegmentedState : SequenceState
{
    private readonly ModelConfig config;
    private readonly float[] initial;      // [m, C]
    private readonly float[] memory;       // [B, m, C]; empty where memory tokens are not carried over

    internal SegmentedState(SegmentedInferenceModel model, SequenceState segment, int rows, int capacity, float[] initial)
        : base(model, rows, capacity)
    {
        (config, Segment, this.initial, memory) = (model.Config, segment, initial, new float[rows * initial.Length]);
        for (var row = 0; row < rows; row++) initial.CopyTo(Memory(row));
    }

    /// <summary>The rows' present segments.</summary>
    internal SequenceState Segment { get; }

    /// <inheritdoc/>
    public override long Bytes => Segment.Bytes + sizeof(float) * memory.LongLength;

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <summary>A row's memory tokens: [m, C].</summary>
    internal Span<float> Memory(int row) => memory.AsSpan(row * initial.Length, initial.Length);

    /// <summary>How many words a row's segment still takes.</summary>
    internal int Room(int row) => config.ContextLength - Words(row);

    // A segment that is full goes on until the next word comes.
    private int Words(int row) =>
        Segment.Lengths[row] == 0 ? 0 : Segment.Lengths[row] - (config.Memory?.PlacesBefore ?? 0);

    internal override IEnumerable<StatePart> Parts(int row)
    {
        foreach (var part in Segment.Parts(row)) yield return part;
        if (initial.Length > 0)
            yield return new("memory", initial.Length, to => Memory(row).CopyTo(to), from => from.CopyTo(Memory(row)));
    }

    /// <inheritdoc/>
    internal override void PrepareParts() => Segment.Prepare([.. Lengths.Select(length =>
        length == 0 ? 0 : (config.Memory?.PlacesBefore ?? 0) + (length - 1) % config.ContextLength + 1)]);

    /// <inheritdoc/>
    protected override void ClearRow(int row)
    {
        Segment.Clear(row);
        initial.CopyTo(Memory(row));
    }

    /// <inheritdoc/>
    protected override void CopyRow(int from, int to)
    {
        Segment.Copy(from, to);
        Memory(from).CopyTo(Memory(to));
    }

    /// <inheritdoc/>
    public override void Dispose() => Segment.Dispose();
}
