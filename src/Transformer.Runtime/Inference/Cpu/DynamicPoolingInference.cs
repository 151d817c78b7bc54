using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · S groups · C width

/// <summary>
/// Groups that end where the text has a boundary (dynamic pooling, Nawrot et al. 2023, arXiv:2211.09761): a group is the mean of its
/// tokens, and a learned null group stands before all of them.
/// </summary>
internal sealed unsafe class DynamicPoolingInference : ShortenedInference
{
    private readonly BoundaryInference boundaries;
    private readonly NormInference norm;
    private readonly float* nullGroup;
    private readonly int width;

    /// <inheritdoc cref="ShortenedInference(InferencePlan, HourglassSpec, ResidualStreams)"/>
    public DynamicPoolingInference(InferencePlan plan, HourglassSpec spec, ResidualStreams streams) : base(plan, spec, streams)
    {
        width = plan.Width;
        boundaries = BoundaryInference.Of(plan, Config.Boundaries!, Edge.Tokens, $"{spec.Path}.boundaries");
        norm = new NormInference(plan.Model.Norm, plan.Weights, $"{spec.Path}.norm");
        nullGroup = plan.Weights.Vector($"{spec.Path}.null_group");
    }

    // The sum of the tokens so far.
    /// <inheritdoc/>
    protected override MixerState NewOpenState(int rows) => new RowState("sum", rows, width);

    /// <inheritdoc/>
    protected override void AddFirst(TokenBatch batch, TokenBatch groups, HourglassState state)
    {
        for (var span = 0; span < batch.Spans; span++)
        {
            var row = batch.RowOf(span);
            if (state.Groups(row) > 0) continue;
            norm.Apply(nullGroup, Edge.Groups.Row(groups.Tokens), width);
            groups.Add(row, start: 0, count: 1, length: 1);
        }
    }

    /// <inheritdoc/>
    protected override void AddComplete(TokenBatch batch, TokenBatch groups, HourglassState state)
    {
        boundaries.Prepare(batch);
        for (var span = 0; span < batch.Spans; span++)
        {
            var (first, row, count, last) = (batch.First(span), batch.RowOf(span), 0, -1);
            var sum = ((RowState)state.Open).Row(row);
            for (var token = first; token < first + batch.Count(span); token++)
            {
                VectorKernels.AddScaled(1, Edge.Tokens.Row(token), sum, width);
                state.OpenTokens[row]++;
                if (boundaries.IsAt(token)) End(row, last = groups.Tokens + count++, sum, state);
                Edge.Received[token] = last;
            }
            if (count > 0) groups.Add(row, state.Groups(row), count, state.Groups(row) + count);
        }
    }

    // The authors add 1e-9 to the size of a group, which single precision rounds away.
    private void End(int row, int group, float* sum, HourglassState state)
    {
        VectorKernels.Scale(1f / state.OpenTokens[row], sum, Edge.Groups.Row(group), width);
        norm.Apply(Edge.Groups.Row(group), Edge.Groups.Row(group), width);
        new Span<float>(sum, width).Clear();
        state.OpenTokens[row] = 0;
    }
}
