namespace Transformer.Inference.Cpu;

// N tokens · S groups · M numbers that a group gives

/// <summary>
/// What tokens receive of groups: what the last group gives that is complete at a token, whether the batch has completed it or an earlier
/// one.
/// </summary>
/// <param name="groups">Of each token which of the batch's groups that is; -1 for one of an earlier batch. [N]</param>
/// <param name="given">What the batch's groups give: [S, M].</param>
/// <param name="name">What it is called in files.</param>
internal sealed unsafe class Received(int[] groups, Activations given, string name)
{
    /// <summary>The state of rows that have no tokens yet.</summary>
    public RowState NewState(int rows) => new(name, rows, given.Width);

    /// <summary>What a token receives: [M].</summary>
    public float* Of(TokenBatch batch, int token, MixerState state) =>
        groups[token] < 0 ? ((RowState)state).Row(batch.Row(token)) : given.Row(groups[token]);

    /// <summary>Keeps what one of the batch's groups gives for a row's next tokens.</summary>
    public void Keep(int row, int group, MixerState state) => VectorKernels.Copy(given.Row(group), ((RowState)state).Row(row), given.Width);
}
