using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Model;

// B batch · T tokens · C width · V vocabulary

/// <summary>
/// The bytes that a training run has in use at its peak, computed from its configuration. The process holds somewhat more: code,
/// fragmentation, and what the run does beside its steps. Activations are counted as fp32; a 16-bit run keeps less.
/// </summary>
/// <param name="Parameters">The parameters.</param>
/// <param name="Gradients">Their gradients.</param>
/// <param name="Moments">The optimizer's state.</param>
/// <param name="Average">The running mean of the weights, where there is one.</param>
/// <param name="Activations">What the forward pass keeps for the backward pass.</param>
/// <param name="Workspace">Temporary memory: logits, or the backward pass of a block, whichever is more.</param>
public sealed record TrainingMemory(long Parameters, long Gradients, long Moments, long Average, long Activations, long Workspace)
{
    /// <summary>The sum.</summary>
    public long Bytes => Parameters + Gradients + Moments + Average + StepBytes;

    /// <summary>What is allocated and freed in every step.</summary>
    public long StepBytes => Activations + Workspace;

    /// <summary>
    /// The bytes of an optimizer's state: two moments per parameter for AdamW; for Muon's hidden matrices their momentum only.
    /// </summary>
    public static long MomentBytes(ModelSize size, OptimizerConfig optimizer)
    {
        return optimizer switch
        {
            MuonConfig muon => sizeof(float) * size.HiddenMatrices + Moments(muon.Adamw, size.Parameters - size.HiddenMatrices),
            AdamWConfig adamw => Moments(adamw, size.Parameters),
            _ => throw new ArgumentOutOfRangeException(nameof(optimizer), optimizer, "no such optimizer"),
        };

        static long Moments(AdamWConfig config, long parameters) =>
            2 * parameters * (config.StatePrecision == StatePrecision.Bf16 ? 2 : sizeof(float));
    }

    /// <summary>The memory of a run.</summary>
    /// <param name="size">The model.</param>
    /// <param name="training">The optimizer, the average and activation checkpointing.</param>
    /// <param name="rows">B, the sequences of a forward pass.</param>
    /// <param name="tokens">T, the tokens of a sequence.</param>
    /// <param name="labelled">The fraction of the tokens that have a target, and so logits.</param>
    public static TrainingMemory Of(ModelSize size, TrainingConfig training, long rows, long tokens, double labelled = 1)
    {
        var checkpointing = training.ActivationCheckpointing;
        var (logits, embedding) = size.VocabularyBytes;
        var predictions = (long)(labelled * rows * tokens);
        var atOnce = LanguageModelLoss.RowsAtOnce(predictions, size.Vocabulary);
        var isWhole = atOnce == predictions;
        var loss = atOnce * logits * (isWhole ? 3 : 2);          // logarithms and two gradients; a chunk and its exponentials
        var block = rows * tokens * size.BlockWorkspace(checkpointing);
        return new(
            size.ParameterBytes, size.GradientBytes, MomentBytes(size, training.Optimizer),
            training.EmaDecay is null ? 0 : size.ParameterBytes,
            size.ActivationBytes(rows, tokens, checkpointing),
            embedding + Math.Max(loss, block));                      // the head's gradient waits for the embedding's
    }
}
