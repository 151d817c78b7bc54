using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · S groups · s tokens of a group · C width

/// <summary>
/// Groups of s tokens (Hourglass, Nawrot et al. 2021, arXiv:2110.13711): group j ends with token s j, and zeros stand before a text.
/// </summary>
internal sealed class HourglassInference : ShortenedInference
{
    private readonly PoolingInference pooling;

    /// <inheritdoc cref="ShortenedInference(InferencePlan, HourglassSpec, ResidualStreams)"/>
    public HourglassInference(InferencePlan plan, HourglassSpec spec, ResidualStreams streams) : base(plan, spec, streams) =>
        pooling = PoolingInference.Of(plan, Config.Pooling, Edge, $"{spec.Path}.pooling");

    /// <inheritdoc/>
    protected override MixerState NewOpenState(int rows) => pooling.NewState(rows);

    /// <inheritdoc/>
    protected override void AddComplete(TokenBatch batch, TokenBatch groups, HourglassState state)
    {
        for (var span = 0; span < batch.Spans; span++)
        {
            var (first, count, last) = (batch.First(span), 0, -1);
            for (var token = first; token < first + batch.Count(span); token++)
            {
                if (batch.Position(token) % Edge.Shorten == 0) Edge.Ends[last = groups.Tokens + count++] = token;
                Edge.Received[token] = last;
            }
            var row = batch.RowOf(span);
            if (count > 0) groups.Add(row, state.Groups(row), count, Config.Groups(batch.Length(first)));
        }
        pooling.Run(batch, groups, state.Open);                                    // [S, C]
    }
}
