using Transformer.Configuration;

namespace Transformer.Inference.Cpu.Vision;

// N tokens · C width

/// <summary>
/// Cross-attention to pictures (Flamingo, Alayrac et al. 2022, arXiv:2204.14198, section 3.1): a token sees the vectors of the last picture
/// before it, or in its own place, and of no other. Before the first picture the attention is zero.
/// </summary>
internal sealed class PictureAttentionInference : FunctionInference
{
    private readonly PictureSource pictures;
    private readonly SourceAttention attention;
    private readonly int vectors, width;
    private readonly int[] next;    // of each span the first token that has not attended

    /// <param name="plan">What all blocks share, with pictures.</param>
    /// <param name="config">The heads.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where its result goes: [N, C].</param>
    public PictureAttentionInference(InferencePlan plan, GatedCrossAttentionConfig config, string name, Activations y)
    {
        (pictures, vectors, width, next) = (plan.Pictures!, config.Vectors, plan.Width, new int[plan.Workspace.Tokens]);
        var heads = new SoftmaxAttentionConfig { Heads = config.Heads, HeadWidth = config.HeadWidth };
        attention = new SourceAttention(plan, pictures.Workspace, heads, vectors, name, y);
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => new PictureState(rows, vectors, attention.NewState(rows));

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        attention.Query(x, batch.Tokens);                                          // [N, H D]
        for (var span = 0; span < batch.Spans; span++) next[span] = batch.First(span);
        while (AttendOn(batch, (PictureState)state)) { }
        attention.Output(batch.Tokens);                                            // [N, C]
    }

    // The tokens of each span up to its next picture attend together: a row's state holds one picture at a time.
    private bool AttendOn(TokenBatch batch, PictureState state)
    {
        var goesOn = false;
        attention.Kernel.Begin(batch, state.Pictures);
        for (var span = 0; span < batch.Spans; span++)
        {
            var (row, first, end) = (batch.RowOf(span), next[span], batch.First(span) + batch.Count(span));
            if (first == end) continue;
            if (batch.IsPicture(first)) See(batch.Id(first), row, state);
            do next[span]++;
            while (next[span] < end && !batch.IsPicture(next[span]));
            goesOn |= next[span] < end;
            if (state.Has(row)) attention.Kernel.Add(first, next[span] - first);
        }
        attention.Kernel.Run();
        return goesOn;
    }

    private void See(int picture, int row, PictureState state)
    {
        attention.Keep(pictures.VectorsOf(picture, width), row, state.Pictures);
        state.Begin(row);
    }
}
