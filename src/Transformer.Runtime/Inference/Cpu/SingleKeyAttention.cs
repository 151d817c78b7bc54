namespace Transformer.Inference.Cpu;

// N tokens · S groups · C width

/// <summary>
/// Cross-attention of each token to the vector of one group. The softmax of a single score is 1, so that the result is the group's value,
/// whatever the query: it is computed once for each group.
/// </summary>
internal sealed unsafe class SingleKeyAttention : FunctionInference
{
    private readonly MatrixProducts value, output;
    private readonly Activations groups, v, y;
    private readonly Received received;

    /// <param name="plan">What all layers share.</param>
    /// <param name="edge">The hourglass.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where its result goes: [N, C].</param>
    public SingleKeyAttention(InferencePlan plan, GroupEdge edge, string name, Activations y)
    {
        (groups, this.y, v) = (edge.Groups, y, plan.Workspace.Buffer("values of groups", plan.Width));
        var given = plan.Workspace.Buffer("read of groups", plan.Width);
        (value, output) = (plan.Products(plan.Map(name + "v_proj", v)), plan.Products(plan.Map(name + "o_proj", given)));
        received = new Received(edge.Received, given, "read");
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => received.NewState(rows);

    /// <summary>Computes what tokens read of new groups.</summary>
    /// <param name="count">S.</param>
    public void Prepare(int count)
    {
        value.Run(groups, count);                                                  // [S, C]
        output.Run(v, count);                                                      // [S, C]
    }

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        for (var token = 0; token < batch.Tokens; token++)
            VectorKernels.Copy(received.Of(batch, token, state), y.Row(token), y.Width);
    }

    /// <inheritdoc cref="UpsamplingInference.Keep"/>
    public void Keep(int row, int group, MixerState state) => received.Keep(row, group, state);
}
