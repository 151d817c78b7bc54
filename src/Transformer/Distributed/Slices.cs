using static TorchSharp.torch;

namespace Transformer.Distributed;

// N ranks

/// <summary>The requirements on the buffers of collectives.</summary>
internal static class Slices
{
    /// <summary>The length of each of the N slices of a buffer.</summary>
    /// <exception cref="ArgumentException">N does not divide its length, or it is not contiguous.</exception>
    public static long SliceOf(this ICollective ranks, Tensor buffer)
    {
        RequireOnePiece(buffer);
        return buffer.numel() % ranks.Ranks == 0
            ? buffer.numel() / ranks.Ranks
            : throw new ArgumentException($"{ranks.Ranks} ranks do not divide {buffer.numel()} numbers", nameof(buffer));
    }

    /// <summary>Refuses a buffer that is not contiguous.</summary>
    public static void RequireOnePiece(Tensor buffer)
    {
        if (!buffer.is_contiguous()) throw new ArgumentException("the buffer is not contiguous", nameof(buffer));
    }

    /// <summary>The error for a type that cannot be added up.</summary>
    public static ArgumentException NotAddable(Tensor buffer) =>
        new($"found {buffer.dtype}, expected numbers of 32 or 64 bits", nameof(buffer));
}
