using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · S groups · s tokens of a group · C width

/// <summary>How groups of s tokens become one vector each (Nawrot et al. 2021, arXiv:2110.13711, section 2.2).</summary>
internal abstract class PoolingInference
{
    /// <summary>What is kept of each row's open group.</summary>
    /// <param name="rows">How many rows.</param>
    public abstract MixerState NewState(int rows);

    /// <summary>Computes the vectors of the groups that a batch completes.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="groups">The groups.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public abstract void Run(TokenBatch batch, TokenBatch groups, MixerState state);

    /// <summary>The pooling of an hourglass.</summary>
    /// <param name="plan">What all layers share.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="path">Its module.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static PoolingInference Of(InferencePlan plan, PoolingConfig config, GroupEdge edge, string path) => config switch
    {
        AveragePoolingConfig => new AveragePoolingInference(edge),
        LinearPoolingConfig => new LinearPoolingInference(plan, edge, path),
        AttentionPoolingConfig attention => new AttentionPoolingInference(plan, attention, edge, path),
        _ => throw Kind.Unknown("model.layers.pooling", config, "CPU kernel"),
    };
}

/// <summary>The mean of a group, from the sum of its tokens so far.</summary>
/// <param name="edge">The hourglass.</param>
internal sealed unsafe class AveragePoolingInference(GroupEdge edge) : PoolingInference
{
    private readonly int width = edge.Tokens.Width;

    /// <inheritdoc/>
    public override MixerState NewState(int rows) => new RowState("sum", rows, width);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, TokenBatch groups, MixerState state)
    {
        for (var (token, group) = (0, 0); token < batch.Tokens; token++)
        {
            var sum = ((RowState)state).Row(batch.Row(token));
            VectorKernels.AddScaled(1, edge.Tokens.Row(token), sum, width);
            if (group == groups.Tokens || edge.Ends[group] != token) continue;
            VectorKernels.Scale(1f / edge.Shorten, sum, edge.Groups.Row(group++), width);
            new Span<float>(sum, width).Clear();
        }
    }
}

/// <summary>W [x_1; ...; x_s] + b.</summary>
internal sealed unsafe class LinearPoolingInference : PoolingInference
{
    private readonly GroupEdge edge;
    private readonly int width;
    private readonly Activations joined;
    private readonly float* zeros;
    private readonly MatrixProducts product;

    /// <param name="plan">What all layers share.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="path">Its module.</param>
    public LinearPoolingInference(InferencePlan plan, GroupEdge edge, string path)
    {
        (this.edge, width, joined) = (edge, plan.Width, plan.Workspace.Buffer("joined tokens", edge.Shorten * plan.Width));
        zeros = plan.Weights.Constants(new float[plan.Width]);
        product = plan.Products(plan.Map($"{path}.proj", edge.Groups));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows) => new OpenGroup("tokens", rows, edge.Shorten, width);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, TokenBatch groups, MixerState state)
    {
        var open = (OpenGroup)state;
        for (var group = 0; group < groups.Tokens; group++)
            for (var place = 0; place < edge.Shorten; place++)
                VectorKernels.Copy(
                    open.Of(batch, edge.Ends[group], place, edge.Tokens, zeros), joined.Row(group) + (long)place * width, width);
        if (groups.Tokens > 0) product.Run(joined, groups.Tokens);                 // [S, C]
        open.Keep(batch, edge.Tokens);
    }
}

/// <summary>What another pooling gives reads the tokens of its group by attention.</summary>
internal sealed class AttentionPoolingInference : PoolingInference
{
    private readonly PoolingInference initial;
    private readonly ResamplingInference<GroupAttention> resampling;

    /// <param name="plan">What all layers share.</param>
    /// <param name="config">The heads, and what gives the queries.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="path">Its module.</param>
    public AttentionPoolingInference(InferencePlan plan, AttentionPoolingConfig config, GroupEdge edge, string path)
    {
        initial = Of(plan, config.Initial, edge, $"{path}.initial");
        resampling = new(plan, path, edge.Groups, (name, y) => new GroupAttention(plan, edge, config.Heads, name, y));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows) =>
        new JoinedState(("initial", initial.NewState(rows)), ("attention", resampling.Attention.NewState(rows, 1)!));

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, TokenBatch groups, MixerState state)
    {
        var own = (JoinedState)state;
        initial.Run(batch, groups, own[0]);                                        // [S, C]
        resampling.Attention.Prepare(batch);
        if (groups.Tokens > 0) resampling.Run(groups, own[1]);                     // [S, C]
        resampling.Attention.Keep(own[1]);
    }
}
