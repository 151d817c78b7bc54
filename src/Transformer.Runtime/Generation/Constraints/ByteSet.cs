namespace Transformer.Generation.Constraints;

/// <summary>A set of bytes.</summary>
/// <param name="Low">A bit for each of the bytes below 128.</param>
/// <param name="High">A bit for each of the others.</param>
internal readonly record struct ByteSet(UInt128 Low, UInt128 High)
{
    /// <summary>The bytes from the first to the last.</summary>
    public static ByteSet Range(int first, int last)
    {
        var set = default(ByteSet);
        for (var value = first; value <= last; value++)
            set |= value < 128 ? new ByteSet(UInt128.One << value, 0) : new ByteSet(0, UInt128.One << (value - 128));
        return set;
    }

    /// <summary>Whether the byte is one of them.</summary>
    public bool Contains(int value) => ((value < 128 ? Low : High) >> (value & 127) & 1) != 0;

    public static ByteSet operator |(ByteSet a, ByteSet b) => new(a.Low | b.Low, a.High | b.High);
}
