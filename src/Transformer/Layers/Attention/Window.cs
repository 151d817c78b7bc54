using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T queries · S keys · H heads · R ramp

/// <summary>
/// How far back the queries of one pass see: keys up to z tokens back in full, fading out over R more (Sukhbaatar et al. 2019). Without a
/// ramp the edge is hard, and a window of W keys is z = W - 1.
/// </summary>
/// <param name="Spans">z in tokens: [B or 1, H or 1, T].</param>
/// <param name="Ramp">R in tokens; 0 for a hard edge.</param>
/// <param name="Most">The most keys that a query could see whatever its span; null if unknown.</param>
public sealed record Window(Tensor Spans, int Ramp, long? Most = null)
{
    /// <summary>
    /// The most keys that any of the queries sees, its own included. On another device than the CPU reading the spans would wait for it, so
    /// that the known bound is taken.
    /// </summary>
    public long Keys()
    {
        if (Most is { } most && Spans.device_type != DeviceType.CPU) return most;
        using var greatest = Spans.detach().max();
        return (long)(greatest.item<float>() + Ramp) + 1;
    }

    /// <summary>Whether a key is within reach: neither after its query nor further back than z + R.</summary>
    /// <param name="distance">From key to query in tokens, 0 for the query's own: [B or 1, 1, T, S].</param>
    /// <returns>[B or 1, H or 1, T, S]</returns>
    public Tensor Reaches(Tensor distance) => (distance >= 0).logical_and(distance <= Spans.unsqueeze(-1) + Ramp);

    /// <summary>
    /// The soft mask m(x) = clamp(1 + (z - x) / R, 0, 1), by which weights are multiplied before they are normalised again.
    /// </summary>
    /// <param name="distance">x, as for <see cref="Reaches"/>.</param>
    /// <returns>[B or 1, H or 1, T, S]; null where the edge is hard.</returns>
    public Tensor? SoftMask(Tensor distance) => Ramp == 0 ? null : (1 + (Spans.unsqueeze(-1) - distance) / Ramp).clamp(0, 1);

    /// <summary>The window of some of the queries.</summary>
    public Window Of(long first, long count) => this with { Spans = Spans.narrow(-1, first, count) };
}
