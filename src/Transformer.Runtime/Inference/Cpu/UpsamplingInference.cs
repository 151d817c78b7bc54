using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · S groups · s tokens of a group · C width

/// <summary>
/// How what the layers of an hourglass made of groups is added to the tokens that receive it (Nawrot et al. 2021, arXiv:2110.13711, section
/// 2.3). What is the same for all tokens of a group is computed once, when the group is complete.
/// </summary>
internal abstract class UpsamplingInference
{
    /// <summary>What the next tokens of each row receive.</summary>
    /// <param name="rows">How many rows.</param>
    public abstract MixerState NewState(int rows);

    /// <summary>Computes what new groups give.</summary>
    /// <param name="groups">S.</param>
    public virtual void Prepare(int groups)
    {
    }

    /// <summary>The tokens with what they receive, in place.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public abstract void Run(TokenBatch batch, MixerState state);

    /// <summary>Keeps what a row's last group gives for the tokens that follow.</summary>
    /// <param name="row">The row.</param>
    /// <param name="group">Which of the new groups.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public abstract void Keep(int row, int group, MixerState state);

    /// <summary>The upsampling of an hourglass.</summary>
    /// <param name="plan">What all layers share.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="path">Its module.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static UpsamplingInference Of(InferencePlan plan, UpsamplingConfig config, GroupEdge edge, string path) => config switch
    {
        RepeatUpsamplingConfig => new RepeatUpsamplingInference(edge),
        LinearUpsamplingConfig => new LinearUpsamplingInference(plan, edge, path),
        AttentionUpsamplingConfig attention => new AttentionUpsamplingInference(plan, attention, edge, path),
        _ => throw Kind.Unknown("model.layers.upsampling", config, "CPU kernel"),
    };
}

/// <summary>x + y, the same y for all tokens of a group.</summary>
/// <param name="edge">The hourglass.</param>
internal sealed unsafe class RepeatUpsamplingInference(GroupEdge edge) : UpsamplingInference
{
    private readonly Received received = new(edge.Received, edge.Groups, "group");

    /// <inheritdoc/>
    public override MixerState NewState(int rows) => received.NewState(rows);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, MixerState state)
    {
        for (var token = 0; token < batch.Tokens; token++)
            VectorKernels.AddScaled(1, received.Of(batch, token, state), edge.Tokens.Row(token), edge.Tokens.Width);
    }

    /// <inheritdoc/>
    public override void Keep(int row, int group, MixerState state) => received.Keep(row, group, state);
}

/// <summary>x_i + (W y + b)_i: a map of its own for each of the s places.</summary>
internal sealed unsafe class LinearUpsamplingInference : UpsamplingInference
{
    private readonly GroupEdge edge;
    private readonly MatrixProducts product;
    private readonly Received received;

    /// <param name="plan">What all layers share.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="path">Its module.</param>
    public LinearUpsamplingInference(InferencePlan plan, GroupEdge edge, string path)
    {
        var given = plan.Workspace.Buffer("of all places", edge.Shorten * plan.Width);
        (this.edge, received) = (edge, new Received(edge.Received, given, "places"));
        product = plan.Products(plan.Map($"{path}.proj", given));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows) => received.NewState(rows);

    /// <inheritdoc/>
    public override void Prepare(int groups) => product.Run(edge.Groups, groups);                  // [S, s C]

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, MixerState state)
    {
        var width = edge.Tokens.Width;
        for (var token = 0; token < batch.Tokens; token++)
        {
            var place = batch.Position(token) % edge.Shorten;    // the first to receive a group is its last token
            VectorKernels.AddScaled(1, received.Of(batch, token, state) + (long)place * width, edge.Tokens.Row(token), width);
        }
    }

    /// <inheritdoc/>
    public override void Keep(int row, int group, MixerState state) => received.Keep(row, group, state);
}

/// <summary>What another upsampling gives reads the vector of its group by attention.</summary>
internal sealed class AttentionUpsamplingInference : UpsamplingInference
{
    private readonly UpsamplingInference initial;
    private readonly ResamplingInference<SingleKeyAttention> resampling;

    /// <param name="plan">What all layers share.</param>
    /// <param name="config">What gives the queries.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="path">Its module.</param>
    public AttentionUpsamplingInference(InferencePlan plan, AttentionUpsamplingConfig config, GroupEdge edge, string path)
    {
        initial = Of(plan, config.Initial, edge, $"{path}.initial");
        resampling = new(plan, path, edge.Tokens, (name, y) => new SingleKeyAttention(plan, edge, name, y));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows) =>
        new JoinedState(("initial", initial.NewState(rows)), ("attention", resampling.Attention.NewState(rows, 1)));

    /// <inheritdoc/>
    public override void Prepare(int groups)
    {
        initial.Prepare(groups);
        resampling.Attention.Prepare(groups);
    }

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, MixerState state)
    {
        var own = (JoinedState)state;
        initial.Run(batch, own[0]);
        resampling.Run(batch, own[1]);
    }

    /// <inheritdoc/>
    public override void Keep(int row, int group, MixerState state)
    {
        var own = (JoinedState)state;
        initial.Keep(row, group, own[0]);
        resampling.Attention.Keep(row, group, own[1]);
    }
}
