using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · S groups · s tokens of a group · C width · H heads · D head width

/// <summary>
/// Cross-attention of each group to its s tokens. Keys and values of a token are computed when it comes, and kept until its group is
/// complete.
/// </summary>
internal sealed unsafe class GroupAttention : FunctionInference, IParallelKernel
{
    private readonly GroupEdge edge;
    private readonly ThreadTeam team;
    private readonly int heads, width, headWidth;
    private readonly float scale;
    private readonly MatrixProducts source, query, output;
    private readonly Activations q, k, v, z;
    private readonly float* firstKey, firstValue;    // of the zeros that stand before a text
    private readonly NativeArray<float>[] scratch;
    private TokenBatch batch = null!;
    private OpenGroup keys = null!, values = null!;

    /// <param name="plan">What all layers share.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="heads">H.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where its result goes: [S, C].</param>
    public GroupAttention(InferencePlan plan, GroupEdge edge, int heads, string name, Activations y)
    {
        (this.edge, team, this.heads, width, headWidth) = (edge, plan.Team, heads, plan.Width, plan.Width / heads);
        scale = (float)plan.Model.Initialization.ScoreScale(headWidth);
        (q, z) = (plan.Workspace.Buffer("queries", width), plan.Workspace.Buffer("mixed values", width));
        (k, v) = (plan.Workspace.Buffer("keys", width), plan.Workspace.Buffer("values", width));
        source = plan.Products(plan.Map(name + "k_proj", k), plan.Map(name + "v_proj", v));
        query = plan.Products(plan.Map(name + "q_proj", q));
        output = plan.Products(plan.Map(name + "o_proj", y));
        firstKey = OfZeros(plan, name + "k_proj");
        firstValue = OfZeros(plan, name + "v_proj");
        scratch = [.. Enumerable.Range(0, team.Threads).Select(thread => plan.Workspace.Scratch(thread, edge.Shorten))];
    }

    private static float* OfZeros(InferencePlan plan, string map)
    {
        var bias = plan.Weights.VectorIfAny($"{map}.bias");
        return bias is null ? plan.Weights.Constants(new float[plan.Width]) : bias;
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => new JoinedState(
        ("keys", new OpenGroup("tokens", rows, edge.Shorten, width)), ("values", new OpenGroup("tokens", rows, edge.Shorten, width)));

    /// <summary>Computes the keys and values of the tokens of a batch.</summary>
    /// <param name="batch">The tokens.</param>
    public void Prepare(TokenBatch batch)
    {
        this.batch = batch;
        source.Run(edge.Tokens, batch.Tokens);                                     // 2 x [N, C]
    }

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        var own = (JoinedState)state;
        (keys, values) = ((OpenGroup)own[0], (OpenGroup)own[1]);
        query.Run(x, batch.Tokens);                                                // [S, C]
        team.Run(this, batch.Tokens * heads);
        output.Run(z, batch.Tokens);                                               // [S, C]
    }

    /// <summary>Keeps the keys and values of the tokens whose groups are not complete.</summary>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public void Keep(MixerState state)
    {
        var own = (JoinedState)state;
        ((OpenGroup)own[0]).Keep(batch, k);
        ((OpenGroup)own[1]).Keep(batch, v);
    }

    // softmax(scale q k^T) v of one head of one group.
    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var (group, at) = (piece / heads, piece % heads * headWidth);
        float* scores = scratch[thread].Pointer, own = q.Row(group) + at, mean = z.Row(group) + at;
        for (var place = 0; place < edge.Shorten; place++)
            scores[place] = scale * VectorMath.Dot(own, keys.Of(batch, edge.Ends[group], place, k, firstKey) + at, headWidth);
        var sum = AttentionMath.Exponentials(scores, edge.Shorten);
        new Span<float>(mean, headWidth).Clear();
        for (var place = 0; place < edge.Shorten; place++)
            VectorKernels.AddScaled(scores[place], values.Of(batch, edge.Ends[group], place, v, firstValue) + at, mean, headWidth);
        VectorKernels.Scale(1 / sum, mean, mean, headWidth);
    }
}
