namespace Transformer.Inference.Cpu;

// B rows

/// <summary>
/// What an hourglass carries from one token to the next: what it needs of the group that is open, what the next tokens receive, how many
/// vectors its layers have read, and the states of those.
/// </summary>
/// <param name="rows">B.</param>
/// <param name="open">Of the group that is open.</param>
/// <param name="received">What the next tokens receive.</param>
/// <param name="layers">The state of the layers.</param>
/// <param name="mostGroups">The most vectors that the layers read of so many tokens.</param>
internal sealed class HourglassState(
    int rows, MixerState open, MixerState received, StackState layers, Func<int, int> mostGroups) : MixerState
{
    private readonly int[] groups = new int[rows];

    /// <summary>Of the group that is open.</summary>
    public MixerState Open { get; } = open;

    /// <summary>For each row how many tokens the open group has; counted where groups differ in length.</summary>
    public int[] OpenTokens { get; } = new int[rows];

    /// <summary>What the next tokens receive.</summary>
    public MixerState Received { get; } = received;

    /// <summary>The state of the layers.</summary>
    public StackState Layers { get; } = layers;

    /// <inheritdoc/>
    public override long Bytes => Open.Bytes + Received.Bytes + Layers.Bytes;

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <summary>How many vectors the layers have read of a row.</summary>
    public int Groups(int row) => groups[row];

    /// <summary>Adds to the vectors that the layers have read of a row.</summary>
    public void Advance(int row, int count) => groups[row] += count;

    /// <inheritdoc/>
    public override void Clear(int row)
    {
        Layers.Clear(row);
        Begin(row);
    }

    // Groups begin anew; what the layers remember stays.
    /// <inheritdoc/>
    public override void Carry(int row, int length)
    {
        Layers.Carry(row, groups[row]);
        Begin(row);
    }

    private void Begin(int row)
    {
        Open.Clear(row);
        Received.Clear(row);
        groups[row] = OpenTokens[row] = 0;
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        Open.Copy(from, to, length);
        Received.Copy(from, to, length);
        Layers.Copy(from, to, groups[from]);
        (groups[to], OpenTokens[to]) = (groups[from], OpenTokens[from]);
    }

    // A file tells the length of a text before the number of its groups, so that it has as many of the layers' places as the text may use.
    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length)
    {
        var most = mostGroups(length);
        Layers.ClearFrom(row, groups[row]);
        return
        [
            new("counts", 2, to => (to[0], to[1]) = (OpenTokens[row], groups[row]), from =>
                (OpenTokens[row], groups[row]) = (Math.Clamp((int)from[0], 0, length), Math.Clamp((int)from[1], 0, most))),
            .. Open.Parts(row, length).Select(part => part with { Name = $"open.{part.Name}" }),
            .. Received.Parts(row, length).Select(part => part with { Name = $"received.{part.Name}" }),
            .. Layers.Parts(row, most),
        ];
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Open.Dispose();
        Received.Dispose();
        Layers.Dispose();
    }
}
