using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · S groups · s tokens of a group · C width

/// <summary>
/// Groups of s tokens (Hourglass, Nawrot et al. 2021, arXiv:2110.13711): the stream is shifted right by s - 1 places, zeros before it, so
/// that group j ends with token s j; its vector goes to the tokens s j .. s j + s - 1, none of which is before its end.
/// </summary>
public sealed class Hourglass : ShortenedLayers
{
    private readonly int shorten, width;
    private readonly Pooling pooling;
    private readonly Upsampling upsampling;

    /// <param name="model">The model that it is part of.</param>
    /// <param name="spec">Its groups and its layers.</param>
    public Hourglass(ModelConfig model, HourglassSpec spec) : base(nameof(Hourglass), model, spec)
    {
        (shorten, width) = (spec.Config.Shorten!.Value, model.Width);
        pooling = Pooling.FromConfig(model, spec.Config.Pooling, shorten);
        upsampling = Upsampling.FromConfig(model, spec.Config.Upsampling, shorten);
        register_module(nameof(pooling), pooling);
        RegisterLayers();
        register_module(nameof(upsampling), upsampling);
    }

    // The last s - 1 vectors of the stream.
    /// <inheritdoc/>
    public override HourglassState NewState(int rows, int length, Device device) => NewState(rows, length, shorten - 1, width, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        using var scope = NewDisposeScope();
        var y = context.StateOf(this) is HourglassState state ? Continue(x, context, state) : Whole(x, context);
        return y.MoveToOuterDisposeScope();
    }

    private Tensor Whole(Tensor x, ForwardContext context)
    {
        var (B, T, S) = (x.shape[0], x.shape[1], Config.Groups((int)x.shape[1]));
        var shifted = nn.functional.pad(x, [0, 0, shorten - 1, 0]).narrow(1, 0, (long)S * shorten);         // [B, S s, C]
        var groups = pooling.call(shifted.view(B, S, shorten, width), context);                            // [B, S, C]
        var rows = Run(groups, context, state: null, counts: null, spans => spans.repeat_interleave(shorten, -1).narrow(-1, 0, T));
        var padded = nn.functional.pad(x, [0, 0, 0, (long)S * shorten - T]).view(B, S, shorten, width);    // [B, S, s, C]
        return upsampling.OfGroups(padded, rows, context).view(B, (long)S * shorten, width).narrow(1, 0, T);
    }

    // The tokens of each row go on from those before: some complete a group, and all receive the last one that is complete.
    private Tensor Continue(Tensor x, ForwardContext context, HourglassState state)
    {
        var (B, T) = ((int)x.shape[0], (int)x.shape[1]);
        var starts = context.CachedLengths;
        int[] news = [.. Enumerable.Range(0, B).Select(row => (int)context.NewTokensOf(row, T))];
        int[] before = [.. starts.Select(Config.Groups)];
        int[] counts = [.. starts.Select((start, row) => Config.Groups(start + news[row]) - before[row])];
        var recent = cat([state.Open, x], 1);                                                              // [B, s - 1 + T, C]
        var all = state.Received.unsqueeze(1);                                                             // [B, 1, C], then [B, 1 + S, C]
        if (counts.Max() is > 0 and var most)
        {
            // Group j of a row begins at this place of recent, that of its last token in x.
            var index = Table(B, most * shorten, (row, at) =>
                Math.Min(before[row] * shorten - starts[row] + at / shorten * shorten, T - 1) + at % shorten, x.device);
            var groups = TokenGroups.Receive(recent, index).view(B, most, shorten, width);
            all = cat([all, Run(pooling.call(groups, context), context, state, counts, spans => spans)], 1);
        }
        var received = TokenGroups.Receive(all, Table(B, T, (row, t) =>
            Math.Min((starts[row] + t) / shorten + 1 - before[row], counts[row]), x.device));              // [B, T, C]
        var y = upsampling.OfTokens(x, received, Table(B, T, (row, t) => (starts[row] + t) % shorten, x.device), context);
        for (var row = 0; row < B; row++)
        {
            state.Open[row].copy_(recent[row].narrow(0, news[row], shorten - 1));
            state.Received[row].copy_(all[row][counts[row]]);
            state.Count(row, open: 0, counts[row]);    // the last vectors tell
        }
        return y;
    }

    private static Tensor Table(int rows, int columns, Func<int, int, int> entry, Device device)
    {
        var numbers = new long[rows * columns];
        for (var i = 0; i < numbers.Length; i++) numbers[i] = entry(i / columns, i % columns);
        return tensor(numbers, [rows, columns]).ToDeviceAsync(device);
    }
}
