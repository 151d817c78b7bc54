using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Transformer.Inference.Cpu;

/// <summary>
/// Fetches the weights that are needed next into the core's own cache while the present ones are used for many
/// tokens. Prefetch hint; never changes results.
/// </summary>
internal static unsafe class Prefetch
{
    private const int Line = 64;

    /// <summary>Prefetches a span of memory.</summary>
    /// <param name="start">The start of the span; it may be past the end of the weights.</param>
    /// <param name="bytes">Its length.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Into(byte* start, int bytes)
    {
        if (!Sse.IsSupported) return;
        for (var at = 0; at < bytes; at += Line) Sse.Prefetch0(start + at);
    }

    /// <summary>Prefetches one token's part of a span of memory that is divided among several tokens.</summary>
    /// <param name="start">The start of the span; it may be past the end of the weights.</param>
    /// <param name="bytes">Its length.</param>
    /// <param name="token">Which token.</param>
    /// <param name="tokens">How many there are.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Into(byte* start, long bytes, int token, int tokens)
    {
        if (!Sse.IsSupported) return;
        var (from, to) = (bytes * token / tokens, bytes * (token + 1) / tokens);
        for (var at = from; at < to; at += Line) Sse.Prefetch0(start + at);
    }
}
