using static TorchSharp.torch;

namespace Transformer.Distributed;

// N ranks

/// <summary>What every collective asks of its buffers.</summary>
internal static class Slices
{
    /// <summary>How many numbers each of the N slices of a buffer has.</summary>
    /// <exception cref="ArgumentException">The ranks do not divide it, or it does not lie in one piece.</exception>
    public static long SliceOf(this ICollective ranks, Tensor buffer)
    {
        RequireOnePiece(buffer);
        return buffer.numel() % ranks.Ranks == 0
            ? buffer.numel() / ranks.Ranks
            : throw new ArgumentException($"{ranks.Ranks} ranks do not divide {buffer.numel()} numbers", nameof(buffer));
    }

    /// <summary>Refuses a buffer whose numbers do not lie side by side.</summary>
    public static void RequireOnePiece(Tensor buffer)
    {
        if (!buffer.is_contiguous()) throw new ArgumentException("the buffer is not contiguous", nameof(buffer));
    }

    /// <summary>Refuses a type in which nothing is added up.</summary>
    public static ArgumentException NotAddable(Tensor buffer) =>
        new($"found {buffer.dtype}, expected numbers of 32 or 64 bits", nameof(buffer));
}
