using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>An event of a run, for its display.</summary>
public abstract record TrainingEvent
{
    /// <summary>A run begins or is resumed.</summary>
    /// <param name="Folder">The run's folder.</param>
    /// <param name="Config">The resolved configuration.</param>
    /// <param name="Data">The run's data.</param>
    /// <param name="Parameters">The number of the model's parameters.</param>
    /// <param name="Step">The number of steps done before.</param>
    /// <param name="Environment">Threads, ranks and device.</param>
    /// <param name="Changes">What has changed since the run was begun, one line each.</param>
    public sealed record Started(
        string Folder, RunConfig Config, Dataset Data, long Parameters, int Step, RunEnvironment Environment,
        IReadOnlyList<string> Changes) : TrainingEvent;

    /// <summary>A step was done.</summary>
    /// <param name="Metrics">Its numbers.</param>
    /// <param name="SecondsLeft">The estimated time of the remaining steps.</param>
    public sealed record Stepped(Metrics Metrics, double SecondsLeft) : TrainingEvent;

    /// <summary>The gradient scale of fp16 changed.</summary>
    /// <param name="Step">After how many steps.</param>
    /// <param name="Scale">What it is now.</param>
    /// <param name="Skipped">Whether the step overflowed and was skipped.</param>
    public sealed record Rescaled(int Step, double Scale, bool Skipped) : TrainingEvent;

    /// <summary>The model was evaluated.</summary>
    /// <param name="Step">After how many steps.</param>
    /// <param name="Result">Loss, tokens and accuracy.</param>
    /// <param name="IsFullPass">Whether the whole validation text was read, or a few batches as a quick estimate.</param>
    public sealed record Evaluated(int Step, EvaluationResult Result, bool IsFullPass) : TrainingEvent;

    /// <summary>A sample was generated.</summary>
    /// <param name="Step">After how many steps.</param>
    /// <param name="Text">The generated text.</param>
    public sealed record Sampled(int Step, string Text) : TrainingEvent;

    /// <summary>A checkpoint was saved.</summary>
    /// <param name="Step">After how many steps.</param>
    /// <param name="Folder">Where.</param>
    public sealed record Saved(int Step, string Folder) : TrainingEvent;

    /// <summary>A warning for the user.</summary>
    /// <param name="Message">One line.</param>
    public sealed record Warned(string Message) : TrainingEvent;
}
