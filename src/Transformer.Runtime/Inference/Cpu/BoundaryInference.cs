using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · F hidden width

/// <summary>Where groups of tokens end (dynamic pooling, Nawrot et al. 2023, arXiv:2211.09761).</summary>
internal abstract class BoundaryInference
{
    /// <summary>Finds the boundaries of a batch.</summary>
    /// <param name="batch">The tokens.</param>
    public abstract void Prepare(TokenBatch batch);

    /// <summary>Whether a token ends a group.</summary>
    public abstract bool IsAt(int token);

    /// <summary>The boundaries of an hourglass.</summary>
    /// <param name="plan">What all layers share.</param>
    /// <param name="config">Their kind.</param>
    /// <param name="x">The stream of the tokens: [N, C].</param>
    /// <param name="path">Their module.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static BoundaryInference Of(InferencePlan plan, BoundaryConfig config, Activations x, string path) => config switch
    {
        WhiteSpaceBoundariesConfig white => new WhiteSpaceInference(white),
        LearnedBoundariesConfig or EntropyBoundariesConfig or PieceBoundariesConfig =>
            new PredictedBoundaryInference(plan, (PredictedBoundariesConfig)config, x, path),
        _ => throw Kind.Unknown("model.layers.boundaries", config, "CPU kernel"),
    };
}

/// <summary>Tokens of white space end groups; what is no token ends none.</summary>
internal sealed class WhiteSpaceInference : BoundaryInference
{
    private readonly HashSet<int> ends;
    private TokenBatch batch = null!;

    /// <param name="config">The ids of those tokens.</param>
    /// <exception cref="InputException">The ids are absent.</exception>
    public WhiteSpaceInference(WhiteSpaceBoundariesConfig config) => ends = [.. config.KnownTokens];

    /// <inheritdoc/>
    public override void Prepare(TokenBatch batch) => this.batch = batch;

    /// <inheritdoc/>
    public override bool IsAt(int token) => ends.Contains(batch.Id(token));
}

/// <summary>
/// A small network finds a boundary more probable than not: down(gelu(up(x))) is positive. Its weights are never packed, since a rounded
/// logit may be another boundary.
/// </summary>
internal sealed unsafe class PredictedBoundaryInference : BoundaryInference
{
    private readonly Activations x, hidden, logits;
    private readonly MatrixProducts up, down;
    private readonly PerTokenKernel activation;

    /// <inheritdoc cref="BoundaryInference.Of"/>
    public PredictedBoundaryInference(InferencePlan plan, PredictedBoundariesConfig config, Activations x, string path)
    {
        (this.x, hidden) = (x, plan.Workspace.Buffer("hidden", config.HiddenAt(plan.Width)));
        logits = plan.Workspace.Buffer("boundaries", 1);
        up = plan.Products(plan.ExactMap($"{path}.up_proj", hidden));
        activation = new(plan.Team, token => Activation.Apply<Gelu>(hidden.Row(token), null, hidden.Row(token), hidden.Width));
        down = plan.Products(plan.ExactMap($"{path}.down_proj", logits));
    }

    /// <inheritdoc/>
    public override void Prepare(TokenBatch batch)
    {
        up.Run(x, batch.Tokens);                                                   // [N, F]
        activation.Run(batch.Tokens);
        down.Run(hidden, batch.Tokens);                                            // [N, 1]
    }

    /// <inheritdoc/>
    public override bool IsAt(int token) => logits.Row(token)[0] > 0;
}
