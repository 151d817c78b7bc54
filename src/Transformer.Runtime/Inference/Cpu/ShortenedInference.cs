using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · S groups · C width · n streams

/// <summary>
/// Layers that read groups of tokens in place of tokens. They run only when a batch completes groups; a token receives what they have made
/// of the last group that is complete.
/// </summary>
internal abstract class ShortenedInference : NodeInference
{
    private readonly ResidualStreams streams;
    private readonly StackInference layers;
    private readonly UpsamplingInference upsampling;
    private readonly RotaryAngles? rotation;
    private readonly TokenBatch groups;

    /// <param name="plan">What all layers share.</param>
    /// <param name="spec">The groups and the layers.</param>
    /// <param name="streams">The stream of the stack that it is part of.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    protected ShortenedInference(InferencePlan plan, HourglassSpec spec, ResidualStreams streams)
    {
        (this.streams, Config, rotation) = (streams, spec.Config, plan.RotaryAngles);
        layers = new StackInference(plan, spec.Layers, $"{spec.Path}.layers");
        var tokens = plan.Workspace.Tokens;
        groups = new TokenBatch(tokens);
        Edge = new GroupEdge(streams.Vectors, layers.Vectors, Config.Shorten ?? 0, new int[tokens], new int[tokens]);
        upsampling = UpsamplingInference.Of(plan, Config.Upsampling, Edge, $"{spec.Path}.upsampling");
    }

    /// <summary>How tokens are grouped.</summary>
    protected HourglassConfig Config { get; }

    /// <summary>The tokens and their groups.</summary>
    protected GroupEdge Edge { get; }

    /// <inheritdoc/>
    public sealed override HourglassState NewState(int rows, int length) => new(
        rows, NewOpenState(rows), upsampling.NewState(rows), layers.NewState(rows, Config.MostGroups(length)), Config.MostGroups);

    /// <summary>What is kept of each row's open group.</summary>
    /// <param name="rows">How many rows.</param>
    protected abstract MixerState NewOpenState(int rows);

    /// <inheritdoc/>
    public sealed override void Run(TokenBatch batch, MixerState state, AssociativeMemoryState? remembered)
    {
        var held = (HourglassState)state;
        streams.Close(batch.Tokens);                                               // [N, C]
        groups.Clear();
        AddFirst(batch, groups, held);
        Compute(batch, held);                                                      // [S, C]
        Keep(held);
        groups.Clear();
        AddComplete(batch, groups, held);
        Compute(batch, held);                                                      // [S, C]
        upsampling.Run(batch, held.Received);                                      // [N, C]
        Keep(held);
        streams.Open(batch.Tokens);                                                // [N, n C]
    }

    /// <summary>Adds groups that stand before the first tokens of texts, with their vectors.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="groups">Where they are added.</param>
    /// <param name="state">The state.</param>
    protected virtual void AddFirst(TokenBatch batch, TokenBatch groups, HourglassState state)
    {
    }

    /// <summary>Adds the groups that a batch completes, with their vectors, and notes who receives which.</summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="groups">Where they are added.</param>
    /// <param name="state">The state.</param>
    protected abstract void AddComplete(TokenBatch batch, TokenBatch groups, HourglassState state);

    private void Compute(TokenBatch batch, HourglassState state)
    {
        if (groups.Tokens == 0) return;
        rotation?.Prepare(groups);
        layers.Run(groups, state.Layers);
        rotation?.Prepare(batch);    // for the layers behind
        upsampling.Prepare(groups.Tokens);
    }

    // The last group of a row is that of its next tokens.
    private void Keep(HourglassState state)
    {
        for (var span = 0; span < groups.Spans; span++)
        {
            upsampling.Keep(groups.RowOf(span), groups.First(span) + groups.Count(span) - 1, state.Received);
            state.Advance(groups.RowOf(span), groups.Count(span));
        }
    }
}
